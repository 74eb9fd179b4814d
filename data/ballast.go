package data

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"dalaba/data/sqlite"
	"dalaba/playlist"
)

// ballastSize is what the ballast file holds free: room for some 10,000 rows,
// several months of airings.
const ballastSize = 4 << 20

// makeBallast lays the ballast down where it is absent and the disk has room
// to spare. It is written, not merely sized, so that it takes real blocks.
func (s *Store) makeBallast() {
	path := ballastFile(s.dir)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if room, err := free(s.dir); err != nil || room < 4*ballastSize {
		return
	}
	tmp := path + ".tmp"
	err := os.WriteFile(tmp, make([]byte, ballastSize), 0o644)
	if err == nil {
		err = sqlite.Keep(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		s.log.Warn("ballast could not be laid down", "err", err)
	}
}

// Tend does what keeps the store in shape and may wait for a quiet moment: it
// lays the ballast down again once the disk has room, removes what power cuts
// left of clips on their way in, and takes back clips that they left on their
// way out. A store in memory needs none of it.
func (s *Store) Tend(ctx context.Context) error {
	if s.away() {
		return nil
	}
	s.makeBallast()
	orphans, err := s.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, path := range orphans {
		if id, ok := strings.CutSuffix(filepath.Base(path), ".mp3"); ok {
			if err := s.regain(ctx, playlist.ClipID(id)); err != nil {
				return err
			}
			continue
		}
		if filepath.Ext(path) != ".tmp" {
			continue // somebody laid it there: not ours to remove
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Free is how many bytes this program may still write beside the store.
func (s *Store) Free() (int64, error) { return free(s.dir) }

func free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Clean(dir), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail * uint64(st.Bsize)), nil
}

func hasBallast(dir string) bool {
	_, err := os.Stat(ballastFile(dir))
	return err == nil
}
