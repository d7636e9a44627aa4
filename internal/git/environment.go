package git

import (
	"os"
	"strconv"
	"strings"
)

// setting is one configuration value that git gets through its environment, above all files.
type setting struct{ key, value string }

// baseEnvironment picks what git needs from an environment. Nothing that starts with GIT_ passes: such variables change
// which repository, index and programs are used.
func baseEnvironment(env []string) []string {
	kept := []string{
		"LC_ALL=C", "LANGUAGE=", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GIT_PAGER=cat", "GIT_EDITOR=false",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_PROTOCOL_FROM_USER=0", "GIT_LITERAL_PATHSPECS=1",
		// A partial clone's missing objects stay missing. No setting can say so: a repository's own protocol.ext.allow
		// beats protocol.allow, and its remote then names a program. An empty list beats both.
		"GIT_ALLOW_PROTOCOL=", "GIT_NO_LAZY_FETCH=1",
	}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch strings.ToUpper(name) {
		case "PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "USER", "LOGNAME", "SYSTEMROOT", "USERPROFILE", "TEMP", "TMP", "SUDO_UID":
			kept = append(kept, entry)
		}
	}
	return kept
}

// networkEnvironment picks what git needs to reach other machines: proxies, and the authorities that it trusts.
func networkEnvironment(env []string) []string {
	var kept []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch strings.ToUpper(name) {
		case "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "CURL_CA_BUNDLE":
			kept = append(kept, entry)
		}
	}
	return kept
}

// safeSettings override the repository's own configuration wherever it could start a program, reach the network, write
// the repository or change how a change is shown.
func safeSettings() []setting {
	return []setting{
		{"core.hooksPath", os.DevNull},
		{"core.fsmonitor", "false"},
		{"core.attributesFile", os.DevNull},
		{"core.quotePath", "true"},
		{"core.pager", "cat"},
		{"core.askPass", ""},
		{"core.sshCommand", "false"},
		{"core.splitIndex", "false"},
		{"core.untrackedCache", "false"},
		{"core.safecrlf", "false"},
		{"core.looseCompression", "1"},
		{"credential.helper", ""},
		{"protocol.allow", "never"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"advice.detachedHead", "false"},
		{"advice.addEmbeddedRepo", "false"},
		{"submodule.recurse", "false"},
		{"diff.ignoreSubmodules", "dirty"},
		{"diff.noPrefix", "false"},
		{"diff.mnemonicPrefix", "false"},
		{"diff.algorithm", "myers"},
		{"diff.suppressBlankEmpty", "false"},
		{"diff.interHunkContext", "0"},
		{"diff.renames", "true"},
		{"diff.wsErrorHighlight", "none"},
		{"diff.indentHeuristic", "true"},
		{"log.showSignature", "false"},
		{"log.showRoot", "false"},
	}
}

// hardened returns the environment entries of the safe settings and further ones, which win. No configuration file but
// the repository's own is read.
func hardened(further []setting) []string {
	settings := append(safeSettings(), further...)
	env := []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+s.key, "GIT_CONFIG_VALUE_"+n+"="+s.value)
	}
	return env
}

// carriedKeys are read from the user's own configuration: they decide which files exist for git and how their lines end.
// Filters are read for their names only.
const carriedKeys = `^(core\.(excludesfile|autocrlf|eol)|safe\.directory|filter\..*\.(clean|smudge|process|required))$`

// carried turns the output of `git config -z --get-regexp` into settings: user's values pass, filters are switched off.
func carried(out []byte) []setting {
	var settings []setting
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		key, value, has := strings.Cut(entry, "\n")
		switch {
		case key == "":
		case strings.HasPrefix(key, "filter.") && strings.HasSuffix(key, ".required"):
			settings = append(settings, setting{key, "false"})
		case strings.HasPrefix(key, "filter."):
			settings = append(settings, setting{key, ""}, setting{key[:strings.LastIndexByte(key, '.')] + ".required", "false"})
		case has:
			settings = append(settings, setting{key, value})
		default:
			settings = append(settings, setting{key, "true"})
		}
	}
	return settings
}
