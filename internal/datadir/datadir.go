// Package datadir is the folder in which an embedded Witan keeps everything. One process at a time holds it; whoever
// holds it says beside the lock where it can be reached, so that a second command becomes its client.
package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"witan.dev/internal/apierr"
	"witan.dev/internal/secret"
)

const (
	lockFile   = "witan.lock"
	holderFile = "holder.json"
	database   = "witan.db"
	keyFile    = "secret.key"
	keyBytes   = 32
)

// ErrHeld is returned by Hold when another process holds the folder.
var ErrHeld = apierr.Precondition(apierr.ReasonDataFolderInUse, "the data folder is in use by another process")

// ErrNoHolder is returned by FindHolder when no process serves the folder.
var ErrNoHolder = errors.New("no process serves the data folder")

// Holder is how to reach the process that holds the folder. Its file is readable by its owner only.
type Holder struct {
	// PID is the holder's process ID, for people; nothing is decided by it.
	PID int `json:"pid"`
	// Address is the holder's gRPC address (host:port on loopback).
	Address string `json:"address"`
	// Token is the bearer token that makes its bearer the folder's owner.
	Token string `json:"token"`
}

// Dir is a held folder.
type Dir struct {
	path  string
	lock  *flock.Flock
	token secret.Text
}

// Default is the folder used when none is named: "witan" in the user's data directory.
func Default(getenv func(string) string) (string, error) {
	if d := getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "witan"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", errors.New("neither HOME nor XDG_DATA_HOME is set: name the data folder with --data")
	}
	return filepath.Join(home, ".local", "share", "witan"), nil
}

// Hold makes the folder where it is missing and takes its lock, without waiting. The lock ends with the process,
// however it ends. ErrHeld when another process has it.
func Hold(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock := flock.New(filepath.Join(path, lockFile), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if !held {
		return nil, ErrHeld.With("folder", path)
	}
	token, err := newToken()
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	d := &Dir{path: path, lock: lock, token: secret.New(token)}
	if err := removeIfThere(filepath.Join(path, holderFile)); err != nil { // left by a process that was killed
		return nil, errors.Join(err, lock.Unlock())
	}
	return d, nil
}

// Path is the folder's absolute path.
func (d *Dir) Path() string { return d.path }

// Database is the path of the database file.
func (d *Dir) Database() string { return filepath.Join(d.path, database) }

// Frozen is the folder for git objects of changes under review.
func (d *Dir) Frozen() string { return filepath.Join(d.path, "frozen") }

// Mirrors is a folder for repositories that were fetched. It is a cache: it may be emptied at any time.
func (d *Dir) Mirrors() string { return filepath.Join(d.path, "mirrors") }

// Key returns 32 random bytes that stay the same as long as the folder exists.
func (d *Dir) Key() ([]byte, error) {
	path := filepath.Join(d.path, keyFile)
	key, err := os.ReadFile(path) //nolint:gosec // our own file in our own folder
	if err == nil && len(key) == keyBytes {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the data folder's key: %w", err)
	}
	key = make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, replaceFile(path, key)
}

// Token is the secret that this holder accepts as the folder's owner. It is new each time the folder is taken.
func (d *Dir) Token() secret.Text { return d.token }

// Announce tells other commands of the same user where this process listens.
func (d *Dir) Announce(address string) error {
	raw, err := json.Marshal(Holder{PID: os.Getpid(), Address: address, Token: d.token.Reveal()})
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(d.path, holderFile), raw); err != nil {
		return fmt.Errorf("announce the holder: %w", err)
	}
	return nil
}

// replaceFile writes a file that only its owner reads, whole or not at all.
func replaceFile(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Release takes the announcement back and gives the folder free.
func (d *Dir) Release() error {
	return errors.Join(removeIfThere(filepath.Join(d.path, holderFile)), d.lock.Unlock())
}

// FindHolder reads who serves the folder. ErrNoHolder where nobody does: no announcement, or one whose process is gone.
func FindHolder(path string) (Holder, error) {
	lock := flock.New(filepath.Join(path, lockFile), flock.SetFlag(os.O_RDWR))
	free, err := lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Holder{}, ErrNoHolder
	case err != nil:
		return Holder{}, fmt.Errorf("look at the data folder's lock: %w", err)
	case free:
		return Holder{}, errors.Join(ErrNoHolder, lock.Unlock())
	}
	raw, err := os.ReadFile(filepath.Join(path, holderFile)) //nolint:gosec // a file that we write, in the folder that the user names
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, ErrHeld.With("folder", path) // held, but not (yet) serving
	}
	if err != nil {
		return Holder{}, fmt.Errorf("read the data folder's holder: %w", err)
	}
	var h Holder
	if err := json.Unmarshal(raw, &h); err != nil {
		return Holder{}, fmt.Errorf("read the data folder's holder: %w", err)
	}
	return h, nil
}

func newToken() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(raw), nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
