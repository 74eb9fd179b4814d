// Package files reads what people hand to a controller: configs, clips, alerts,
// certificates. It takes regular files only, so that a pipe or a device by that
// name cannot make the daemon wait.
package files

import (
	"errors"
	"io"
	"os"
	"syscall"

	"dalaba/player"
	"dalaba/playlist/say"
)

// Open opens a regular file to read. Anything else that goes by the name, such
// as a pipe without a writer, is an error at once.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV): // a socket, a device without a driver
		return nil, say.M("cli.not_a_file")
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = say.M("cli.not_a_file")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read reads a regular file of at most so many bytes; a larger one is an error.
func Read(path string, most int64) (raw []byte, err error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = say.M("alerts.too_large", most>>20)
	}
	return raw, err
}

// Scan holds a file, which may be anything, to what an air clip must be.
func Scan(path string) (info player.Info, err error) {
	f, err := Open(path)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return player.Scan(f)
}
