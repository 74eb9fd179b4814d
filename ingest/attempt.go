package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dalaba/playlist/say"
)

// ErrFatal says that the program ended before while it read the file.
var ErrFatal = errors.New("the program ended at this file before")

// Attempts remembers which files the program is reading. A file at which the program
// ended is not read again: it might end it each time that it is started. A power cut is
// not held against a file the first time.
type Attempts struct {
	Dir     string // where that is kept; nothing else is in it
	Boot    string // identifies the boot of the machine
	Forgive bool   // the first end is not held against a file even if it was no power cut
}

// attempt is a file that is being read.
type attempt struct {
	Path  string    `json:"path"`
	Size  int64     `json:"size"`
	MTime time.Time `json:"mtime"`
	Boot  string    `json:"boot"`
	Times int       `json:"times"` // that it was begun, this one too
}

// Begin notes that a file is going to be read; the caller calls end once it was, or once
// it is moved away. The error is an [ErrRefused] and [ErrFatal] if the program ended at that file before. If nothing can be noted,
// because the disk is full or fails, the file may be read all the same.
func (a *Attempts) Begin(path string) (end func(), err error) {
	end = func() {}
	if a == nil {
		return end, nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return end, nil // reading it tells why
	}
	sum := sha256.Sum256([]byte(path))
	file := filepath.Join(a.Dir, hex.EncodeToString(sum[:16]))
	now := attempt{path, info.Size(), info.ModTime().UTC(), a.Boot, 1}
	if was, ok := readAttempt(file); ok && was.Size == now.Size && was.MTime.Equal(now.MTime) {
		if now.Times = was.Times + 1; was.Boot == a.Boot && !a.Forgive || now.Times > 2 {
			return func() { _ = os.Remove(file) }, refusal{say.M("ingest.fatal"), ErrFatal}
		}
	}
	text, err := json.Marshal(now)
	if err == nil {
		if err = os.MkdirAll(a.Dir, 0o700); err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
	}
	if err != nil {
		return end, nil
	}
	return func() { _ = os.Remove(file) }, nil
}

func readAttempt(file string) (a attempt, ok bool) {
	text, err := os.ReadFile(file)
	return a, err == nil && json.Unmarshal(text, &a) == nil
}

// Tidy forgets the attempts at files that are gone.
func (a *Attempts) Tidy() error {
	all, err := os.ReadDir(a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		file := filepath.Join(a.Dir, e.Name())
		was, ok := readAttempt(file)
		if _, gone := os.Lstat(was.Path); !ok || errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return err
}
