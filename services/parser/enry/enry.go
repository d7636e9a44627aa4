// Package enry names the language of a file with go-enry, the port of GitHub's linguist, and corrects it where Witan
// knows better.
package enry

import (
	"bytes"
	"path"
	"strings"

	enry "github.com/go-enry/go-enry/v2"

	"witan.dev/services/parser"
)

// sample is how much of a content is looked at; linguist's own heuristics read no more.
const sample = 50 << 10

// Detector implements parser.Detector. The zero value is ready, and may be shared by goroutines.
type Detector struct{}

var _ parser.Detector = Detector{}

// Detect names the language of a file by its path and content, and judges what kind of file it is.
func (Detector) Detect(name string, content []byte) parser.Detection {
	head := content[:min(len(content), sample)]
	d := parser.Detection{
		Binary:   isBinary(head),
		Vendored: isVendored(name),
		LockFile: isLockFile(name),
		Test:     enry.IsTest(name),
	}
	if d.Binary {
		return d
	}
	d.Language = language(name, head)
	d.Generated = enry.IsGenerated(name, head) || strings.HasSuffix(name, ".min.js") || strings.HasSuffix(name, ".min.css")
	return d
}

// isVendored knows the folders in which package managers and people put the code of others. Linguist's own list is made for
// statistics: it has configure, Jenkinsfile, .github/, dist/, cache/ and tests/fixtures/, which are a repository's own code.
// Nothing below a root folder whose name begins with a dot is vendored: CI and editors run what is there.
func isVendored(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	folders := strings.Split(name, "/")
	for i, folder := range folders[:len(folders)-1] {
		switch folder {
		case "vendor", "node_modules", "third_party", "bower_components":
			return true
		case "_workspace":
			if i > 0 && folders[i-1] == "Godeps" {
				return true
			}
		}
	}
	return false
}

// isBinary follows git: a NUL among the first 8,000 bytes. UTF-16 text is binary to git as well.
func isBinary(head []byte) bool {
	return bytes.IndexByte(head[:min(len(head), 8_000)], 0) >= 0
}

// language prefers the extension where linguist's classifier may err: TSX is told from TypeScript, and a .ts file is
// TypeScript unless it is one of Qt's XML files.
func language(name string, head []byte) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".tsx":
		return "tsx"
	case ".mts", ".cts":
		return "typescript"
	case ".ts":
		if !bytes.HasPrefix(bytes.TrimSpace(head), []byte("<")) {
			return "typescript"
		}
	case ".jsx", ".mjs", ".cjs":
		return "javascript"
	case ".go":
		return "go"
	case ".py", ".pyi":
		return "python"
	case ".rs":
		if !bytes.HasPrefix(bytes.TrimSpace(head), []byte("<")) {
			return "rust"
		}
	}
	return strings.ToLower(enry.GetLanguage(path.Base(name), head))
}

// isLockFile knows the files in which package managers write what they resolved.
func isLockFile(name string) bool {
	switch strings.ToLower(path.Base(name)) {
	case "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock",
		"go.sum", "go.work.sum", "cargo.lock", "composer.lock", "gemfile.lock", "gems.locked", "poetry.lock", "uv.lock",
		"pdm.lock", "pipfile.lock", "pixi.lock", "conda-lock.yml", "mix.lock", "pubspec.lock", "podfile.lock",
		"package.resolved", "flake.lock", "packages.lock.json", "paket.lock", "gradle.lockfile", "buf.lock",
		"cabal.project.freeze", "stack.yaml.lock", "shard.lock", "rebar.lock", "berksfile.lock", ".terraform.lock.hcl",
		"chart.lock", "module.bazel.lock", "cartfile.resolved", "pylock.toml":
		return true
	default:
		return false
	}
}
