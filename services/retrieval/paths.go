package retrieval

import (
	"path"
	"strings"
)

// LeftOutByPath returns why an entry is no part of an index as far as path, mode and size tell, or "".
//
// The list of vendored folders is our own and short: linguist's also has folders like cache/ and dependencies/, which
// are ordinary packages in many repositories, and a caller that is left out is a caller that a review does not see.
func LeftOutByPath(e Entry) string {
	switch {
	case e.Mode == ModeSymlink:
		return LeftOutSymlink
	case e.Mode == ModeSubmodule:
		return LeftOutSubmodule
	case vendored(e.Path):
		return LeftOutVendored
	case lockFile(path.Base(e.Path)):
		return LeftOutLockFile
	case generatedName(path.Base(e.Path)):
		return LeftOutGenerated
	case e.Size > MaxFileBytes:
		return LeftOutTooLarge
	}
	return ""
}

func vendored(p string) bool {
	for folder := range strings.SplitSeq(path.Dir(p), "/") {
		switch folder {
		case "vendor", "node_modules", "bower_components", "third_party", "thirdparty", "3rdparty", "Godeps", "Pods",
			"site-packages", ".venv", ".yarn", ".bundle", "jspm_packages":
			return true
		}
	}
	return false
}

func lockFile(base string) bool {
	switch base {
	case "go.sum", "go.work.sum", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb",
		"Cargo.lock", "Gemfile.lock", "poetry.lock", "Pipfile.lock", "uv.lock", "pdm.lock", "composer.lock", "mix.lock",
		"pubspec.lock", "Podfile.lock", "packages.lock.json", "flake.lock", "gradle.lockfile", "deno.lock", "Package.resolved":
		return true
	}
	return false
}

func generatedName(base string) bool {
	lower := strings.ToLower(base)
	for _, end := range [...]string{
		".pb.go", ".pb.gw.go", "_grpc.pb.go", "_pb2.py", "_pb2_grpc.py", ".pb.cc", ".pb.h", ".min.js", ".min.css",
		".js.map", ".css.map", ".snap", ".designer.cs",
	} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return false
}

// TestPath reports whether a path is that of a test by the habits of the common languages.
func TestPath(p string) bool {
	for folder := range strings.SplitSeq(path.Dir(p), "/") {
		switch folder {
		case "test", "tests", "spec", "specs", "__tests__", "testing", "e2e":
			return true
		}
	}
	base := path.Base(p)
	stem, _, _ := strings.Cut(base, ".")
	switch {
	case strings.HasPrefix(base, "test_"), strings.HasSuffix(stem, "_test"), strings.HasSuffix(stem, "_spec"),
		strings.HasSuffix(stem, "Test"), strings.HasSuffix(stem, "Tests"), stem == "conftest":
		return true
	}
	return strings.Contains(base, ".test.") || strings.Contains(base, ".spec.")
}

// HintOf returns what a path says of the language and the role of its content: the extension, or the whole name of a
// file without one, and whether it is a test. A content that moves or gets another name keeps its hint.
func HintOf(p string) string {
	base := path.Base(strings.Trim(p, `"`))
	hint := strings.ToLower(path.Ext(base))
	if hint == "" || hint == "."+strings.ToLower(strings.TrimPrefix(base, ".")) {
		hint = base
	}
	if TestPath(p) {
		hint += "?test"
	}
	return hint
}
