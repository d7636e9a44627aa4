package graph

// The lists below name methods of the languages' own libraries that programs call all the time: "the only definition in
// the repository" is no reason to believe that such a call means it. They are kept short; a name of fewer than four
// letters is never unique anyway.

// commonGo lists methods of the standard library's most used types and interfaces.
func commonGo(name string) bool {
	switch name {
	case "Close", "Read", "Write", "WriteString", "WriteByte", "WriteTo", "ReadFrom", "ReadAt", "ReadByte", "ReadString", "Seek",
		"String", "Error", "Errorf", "Fatal", "Fatalf", "Fatalln", "Skip", "Skipf", "Helper", "Cleanup", "TempDir", "Setenv", "Parallel",
		"Printf", "Print", "Println", "Lock", "Unlock", "RLock", "RUnlock", "TryLock", "Wait", "Done", "Signal", "Broadcast",
		"Load", "Store", "Swap", "CompareAndSwap", "Delete", "Range", "Reset", "Stop", "Start", "Next", "Value", "Values", "Name",
		"Unwrap", "Scan", "Text", "Bytes", "Buffer", "Flush", "Grow", "Copy", "Clone", "Equal", "Before", "After", "Unix", "UnixNano",
		"UnixMicro", "UnixMilli", "Format", "Truncate", "Round", "Seconds", "Minutes", "Hours", "Milliseconds", "Microseconds",
		"Nanoseconds", "Date", "Year", "Month", "Query", "QueryRow", "Exec", "QueryContext", "QueryRowContext", "ExecContext",
		"Prepare", "PrepareContext", "Begin", "BeginTx", "Commit", "Rollback", "Header", "Cookie", "Cookies", "WriteHeader",
		"ServeHTTP", "Handle", "HandleFunc", "Shutdown", "Serve", "ListenAndServe", "Accept", "Addr", "Dial", "DialContext",
		"Encode", "Decode", "EncodeToString", "DecodeString", "Marshal", "Unmarshal", "MarshalJSON", "UnmarshalJSON", "MarshalText",
		"UnmarshalText", "Token", "Kind", "Type", "Elem", "Field", "Method", "Interface", "Index", "Call", "Keys", "IsNil", "IsZero", "IsValid",
		"Parse", "Execute", "Funcs", "Lookup", "Visit", "VisitAll", "Args", "Info", "Warn", "Debug", "InfoContext", "WarnContext",
		"ErrorContext", "DebugContext", "With", "WithGroup", "Enabled", "Attrs", "Output", "CombinedOutput", "StdoutPipe", "StderrPipe",
		"StdinPipe", "Kill", "Open", "Stat", "ReadDir", "ReadFile", "IsDir", "Mode", "Size", "ModTime", "Push", "Less", "Sort",
		"Find", "FindString", "FindStringSubmatch", "FindAllString", "MatchString", "ReplaceAllString", "ReplaceAllStringFunc", "Split",
		"Deadline", "Timer", "Ticker", "Body", "Host", "Path", "URL", "Request", "Response", "Status", "StatusCode", "ContentLength",
		"Sprintf", "FailNow", "Fail", "Failed", "Logf", "Loop", "ReportMetric", "Context", "Once", "Position", "Line", "Column", "Filename", "Total":
		return true
	}
	return false
}

// commonPython lists methods of built-in types, files, loggers and the like.
func commonPython(name string) bool {
	switch name {
	case "append", "extend", "insert", "remove", "clear", "index", "count", "sort", "reverse", "copy", "update", "items", "keys", "values",
		"popitem", "setdefault", "union", "difference", "intersection", "issubset", "discard", "join", "split", "rsplit", "splitlines",
		"strip", "lstrip", "rstrip", "replace", "startswith", "endswith", "format", "lower", "upper", "title", "find", "rfind", "encode",
		"decode", "isdigit", "isalpha", "read", "readline", "readlines", "write", "writelines", "close", "open", "flush", "seek", "tell",
		"match", "search", "group", "groups", "findall", "finditer", "fullmatch", "compile", "send", "throw", "info", "debug", "warning",
		"error", "critical", "exception", "start", "stop", "wait", "acquire", "release", "notify", "result", "submit", "shutdown", "cancel",
		"exists", "mkdir", "unlink", "rename", "resolve", "iterdir", "glob", "read_text", "write_text", "is_file", "is_dir", "name", "parent",
		"execute", "fetchone", "fetchall", "commit", "rollback", "cursor", "connect", "json", "text", "status_code", "headers", "content",
		"isoformat", "strftime", "strptime", "total_seconds", "timestamp", "date", "time", "year", "month", "hour", "minute", "second",
		"add_argument", "parse_args", "load", "loads", "dump", "dumps", "next", "shape", "mean", "reshape", "astype", "tolist", "args", "kwargs",
		"value", "data", "type", "path", "file", "mock", "assert_called_once", "assert_called_with", "return_value", "side_effect", "setUp", "tearDown",
		"assertEqual", "assertTrue", "assertFalse", "assertRaises", "assertIn", "assertIsNone", "poll", "communicate", "kill", "terminate":
		return true
	}
	return false
}

// commonScript lists methods of built-in objects, the DOM, promises and emitters.
func commonScript(name string) bool {
	switch name {
	case "push", "shift", "unshift", "slice", "splice", "concat", "join", "reverse", "sort", "indexOf", "lastIndexOf", "includes", "find",
		"findIndex", "findLast", "filter", "forEach", "reduce", "reduceRight", "some", "every", "flat", "flatMap", "fill", "keys", "values", "entries",
		"length", "split", "trim", "trimStart", "trimEnd", "replace", "replaceAll", "match", "matchAll", "search", "startsWith", "endsWith", "substring",
		"substr", "charAt", "charCodeAt", "codePointAt", "toLowerCase", "toUpperCase", "padStart", "padEnd", "repeat", "normalize", "localeCompare",
		"toString", "toFixed", "toJSON", "valueOf", "hasOwnProperty", "assign", "freeze", "create", "then", "catch", "finally", "resolve", "reject",
		"clear", "delete", "size", "next", "return", "throw", "call", "apply", "bind", "test", "exec", "parse", "stringify", "error", "warn", "info", "debug",
		"emit", "once", "addListener", "removeListener", "removeAllListeners", "addEventListener", "removeEventListener", "dispatchEvent", "preventDefault",
		"stopPropagation", "querySelector", "querySelectorAll", "getElementById", "appendChild", "removeChild", "setAttribute", "getAttribute", "focus",
		"click", "pipe", "write", "close", "open", "read", "destroy", "send", "json", "text", "blob", "abort", "getTime", "toISOString", "getFullYear",
		"name", "message", "stack", "code", "type", "value", "data", "status", "headers", "body", "path", "url", "target", "current", "props", "state",
		"describe", "expect", "toBe", "toEqual", "mock", "mockReturnValue", "mockResolvedValue", "toHaveBeenCalled", "dispose", "subscribe", "unsubscribe":
		return true
	}
	return false
}

// commonJava lists methods of java.lang.Object, strings, collections, streams and the like.
func commonJava(name string) bool {
	switch name {
	case "equals", "hashCode", "toString", "getClass", "clone", "notify", "wait", "length", "charAt", "substring", "indexOf", "contains", "isEmpty",
		"split", "trim", "replace", "format", "valueOf", "startsWith", "endsWith", "append", "size", "clear", "remove", "addAll", "containsKey",
		"keySet", "values", "entrySet", "getKey", "getValue", "putAll", "getOrDefault", "computeIfAbsent", "iterator", "hasNext", "next", "stream",
		"filter", "collect", "forEach", "reduce", "sorted", "toList", "orElse", "orElseThrow", "isPresent", "ifPresent", "read", "write", "close", "flush",
		"getMessage", "getCause", "printStackTrace", "println", "printf", "print", "start", "join", "lock", "unlock", "submit", "execute", "shutdown",
		"info", "warn", "error", "debug", "trace", "build", "builder", "getName", "getId", "compareTo", "name", "ordinal", "invoke", "apply", "accept", "test",
		"parse", "copy", "load", "store", "when", "thenReturn", "verify", "assertEquals", "assertTrue", "toArray", "sort", "asList", "of":
		return true
	}
	return false
}

// commonRust lists methods of the standard library's most used types and traits.
func commonRust(name string) bool {
	switch name {
	case "unwrap", "expect", "unwrap_or", "unwrap_or_else", "unwrap_or_default", "map_err", "and_then", "or_else", "ok_or", "ok_or_else", "is_some",
		"is_none", "is_ok", "is_err", "as_ref", "as_mut", "as_str", "as_slice", "as_bytes", "as_path", "to_string", "to_owned", "to_vec", "into", "from",
		"clone", "iter", "iter_mut", "into_iter", "next", "collect", "filter", "filter_map", "flat_map", "fold", "chain", "enumerate", "skip", "take",
		"push", "push_str", "insert", "remove", "contains", "contains_key", "entry", "or_insert", "or_insert_with", "or_default", "keys", "values", "clear",
		"extend", "len", "is_empty", "first", "last", "split", "trim", "lines", "chars", "bytes", "starts_with", "ends_with", "strip_prefix", "strip_suffix",
		"replace", "parse", "display", "read", "write", "flush", "lock", "send", "recv", "join", "spawn", "borrow", "borrow_mut", "deref", "default",
		"eq", "cmp", "partial_cmp", "hash", "drop", "source", "description", "with_context", "context", "build", "new", "name", "path", "file_name",
		"sort", "sort_by", "dedup", "retain", "drain", "resize", "exists", "status", "output", "args", "arg", "env", "stdout", "stderr", "wait", "poll":
		return true
	}
	return false
}

// commonRuby lists methods of the core classes and Kernel.
func commonRuby(name string) bool {
	switch name {
	case "each", "each_with_index", "each_pair", "select", "reject", "collect", "inject", "reduce", "detect", "find", "find_all", "first", "last",
		"push", "shift", "unshift", "insert", "delete", "delete_if", "compact", "flatten", "uniq", "sort", "sort_by", "reverse", "include?", "empty?",
		"nil?", "any?", "all?", "none?", "size", "length", "count", "keys", "values", "merge", "merge!", "fetch", "key?", "has_key?", "to_s", "to_i", "to_sym",
		"to_a", "to_h", "to_proc", "join", "split", "strip", "gsub", "gsub!", "match", "match?", "start_with?", "end_with?", "upcase", "downcase", "capitalize",
		"freeze", "frozen?", "dup", "clone", "tap", "then", "send", "public_send", "respond_to?", "instance_variable_get", "instance_variable_set", "is_a?",
		"kind_of?", "instance_of?", "class", "name", "inspect", "call", "puts", "print", "raise", "require", "require_relative", "loop", "lambda", "proc",
		"block_given?", "attr_reader", "attr_writer", "attr_accessor", "include", "extend", "prepend", "define_method", "read", "write", "close", "open",
		"assert", "assert_equal", "expect", "describe", "context", "format", "sprintf", "times", "step", "catch", "throw", "warn", "hash", "method", "methods":
		return true
	}
	return false
}

// commonPHP lists methods of frameworks' and the library's most used types.
func commonPHP(name string) bool {
	switch name {
	case "__construct", "__toString", "__get", "__set", "__call", "getMessage", "getCode", "getTrace", "count", "current", "next", "rewind", "valid",
		"offsetGet", "offsetSet", "offsetExists", "offsetUnset", "getIterator", "format", "modify", "diff", "prepare", "execute", "fetch", "fetchAll",
		"query", "bind", "make", "resolve", "call", "push", "filter", "each", "first", "last", "where", "find", "save", "update", "delete", "create",
		"toArray", "toJson", "jsonSerialize", "merge", "keys", "values", "all", "handle", "boot", "register", "name", "getName", "assertEquals",
		"assertTrue", "assertSame", "shouldReceive", "andReturn", "with", "once", "mock", "setUp", "tearDown", "expects", "method", "willReturn", "send",
		"then", "group", "path", "exists", "contains", "isEmpty", "sort", "reverse", "read", "write", "close", "open", "flush":
		return true
	}
	return false
}
