package review

import (
	"bytes"
	"strings"
)

const (
	// MaxBinaries bounds what is read of the binaries of one change, in bytes (own choice).
	MaxBinaries = 64 << 20
	// maxStrings bounds what is kept of it, shortestString is the shortest run that is kept (own choices).
	maxStrings, shortestString = 4 << 20, 8
)

// binaryName says whether the name is that of a format without text. Whatever else is binary, to git because of one NUL,
// may be code that nobody read: interpreters and compilers take NULs in comments.
func binaryName(path string) bool {
	name := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return false
	}
	switch name[dot+1:] {
	case "png", "jpg", "jpeg", "gif", "webp", "avif", "bmp", "ico", "icns", "tif", "tiff", "heic", "psd", "xcf", "sketch", "fig", // pictures
		"mp3", "mp4", "m4a", "m4v", "mov", "avi", "mkv", "webm", "ogg", "oga", "ogv", "opus", "wav", "flac", "aac", // sound and film
		"woff", "woff2", "ttf", "otf", "eot", // fonts
		"zip", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar", "tar", "br", "lz4", "jar", "war", "whl", "gem", "nupkg", "apk", "deb", "rpm", // archives
		"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "epub", // documents
		"exe", "dll", "so", "dylib", "a", "o", "lib", "obj", "pdb", "class", "pyc", "wasm", "bin", "elf", // compiled code
		"db", "sqlite", "sqlite3", "mdb", "parquet", "avro", "arrow", "npy", "npz", "h5", "hdf5", "onnx", "pb", "pt", "safetensors", "gguf", // data
		"p12", "pfx", "jks", "keystore", "der", "gpg", "mo", "glb", "blend", "fbx", "snk", "lockb": // keys and others
		return true
	default:
		return false
	}
}

// checkBinary notes that a binary may be text that was not read.
func (f *File) checkBinary() {
	if f.Nature == NatureBinary && !(binaryName(f.Path) && (f.Change == Copied || binaryName(f.OldPath))) {
		f.Limit(ReasonNotUTF8)
	}
}

// TakeBinary notes what a side of a binary holds: a side that reads as text keeps the file from counting as looked at, and
// room bounds the printable strings that are kept. It returns the room that is left.
func (f *File) TakeBinary(old bool, content []byte, room int) int {
	if len(content) > 0 && legible(content) {
		f.Limit(ReasonNotUTF8)
	}
	text := printable(content, room)
	if old {
		f.OldStrings = text
	} else {
		f.NewStrings = text
	}
	return room - len(text)
}

// StringsRoom is the room for the strings of all binaries of a change.
const StringsRoom = maxStrings

// printable are the runs of printable ASCII in content, one on each line, at most room bytes. UTF-16 is read as well.
func printable(content []byte, room int) string {
	if nuls := bytes.Count(content, []byte{0}); nuls*5 >= len(content)*2 && nuls*5 <= len(content)*3 {
		content = bytes.ReplaceAll(content, []byte{0}, nil) // every second byte, about
	}
	var b strings.Builder
	start := 0
	for i := 0; i <= len(content); i++ {
		if i < len(content) && (content[i] >= ' ' && content[i] < 0x7f || content[i] == '\t') {
			continue
		}
		if run := content[start:i]; len(run) >= shortestString {
			if b.Len()+len(run)+1 > room {
				break
			}
			b.Write(run)
			b.WriteByte('\n')
		}
		start = i + 1
	}
	return b.String()
}
