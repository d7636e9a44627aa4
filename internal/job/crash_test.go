package job_test

func runCrashHelper() bool { return false }
