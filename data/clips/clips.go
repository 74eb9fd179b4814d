// Package clips keeps the files of clips in one folder, each under its hash.
// The stores of the controller and of the county each have one.
package clips

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dalaba/data/sqlite"
	"dalaba/playlist"
)

var (
	// ErrNoFile says that the file of a clip does not exist.
	ErrNoFile = errors.New("the clip's file is not there")

	// ErrWrongHash says that bytes do not hash to the clip's ID.
	ErrWrongHash = errors.New("the bytes are not those of the clip")
)

// Folder is the path of a folder of clips.
type Folder string

// Path returns the path of a clip's file, whether or not the file exists.
func (f Folder) Path(id playlist.ClipID) string { return filepath.Join(string(f), string(id)+".mp3") }

// Put stores the bytes of a clip and returns their number. Once it has returned
// they survive a power cut. If the bytes are those of another clip it returns
// [ErrWrongHash] and leaves the folder as it was.
func (f Folder) Put(id playlist.ClipID, src io.Reader) (size int64, err error) {
	if !playlist.IsClipID(string(id)) || strings.ToLower(string(id)) != string(id) {
		return 0, fmt.Errorf("%w: %q is no clip ID", playlist.ErrInvalid, id)
	}
	tmp, err := os.CreateTemp(string(f), "."+id.Short()+"-*.tmp")
	if err != nil {
		return 0, sqlite.Classify(err)
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(tmp, hash), src)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = same(id, playlist.ClipID(hex.EncodeToString(hash.Sum(nil))))
	}
	if err == nil && f.Verify(id) == nil {
		return size, os.Remove(tmp.Name()) // the file exists already
	}
	if err == nil {
		err = sqlite.Keep(tmp.Name(), f.Path(id))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return size, sqlite.Classify(err)
}

// Open opens the file of a clip for reading.
func (f Folder) Open(id playlist.ClipID) (*os.File, error) {
	if !playlist.IsClipID(string(id)) {
		return nil, fmt.Errorf("%w: %q is no clip ID", playlist.ErrInvalid, id)
	}
	file, err := os.Open(f.Path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: clip %s", ErrNoFile, id.Short())
	}
	return file, err
}

// Has reports whether the file of a clip exists, damaged or not.
func (f Folder) Has(id playlist.ClipID) bool {
	_, err := os.Stat(f.Path(id))
	return err == nil
}

// Verify reads the file of a clip and returns [ErrNoFile] or [ErrWrongHash] if
// the clip may not air.
func (f Folder) Verify(id playlist.ClipID) error {
	file, err := f.Open(id)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	found, err := playlist.ClipIDOf(file)
	if err != nil {
		return err
	}
	return same(id, found)
}

func same(wanted, found playlist.ClipID) error {
	if wanted == found {
		return nil
	}
	return fmt.Errorf("%w: %s wanted, %s found", ErrWrongHash, wanted.Short(), found.Short())
}
