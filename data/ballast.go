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

// ballastSize is how many bytes the ballast file keeps free: room for some
// 10,000 rows, several months of airings.
const ballastSize = 4 << 20

// makeBallast makes the ballast file if it does not exist and the disk has
// enough room. It writes the bytes instead of only setting the size, so that
// the file takes real blocks.
func (s *Store) makeBallast() {
	path := ballastFile(s.dir)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if room, err := free(s.dir); err != nil || room < 4*ballastSize {
		return
	}
	tmp := path + ".tmp"
	err := os.WriteFile(tmp, make([]byte, ballastSize), privateFile)
	if err == nil {
		err = sqlite.Keep(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		s.log.Warn("ballast file not written", "err", err)
	}
}

// Tend does the upkeep that may wait for a quiet moment: it makes the ballast
// file again once the disk has room, deletes unfinished clip files that power
// cuts left behind, and marks clips as present whose deletion a power cut
// stopped. A store in memory needs none of it.
func (s *Store) Tend(ctx context.Context) error {
	if s.inMemory() {
		return nil
	}
	s.makeBallast()
	orphans, err := s.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, path := range orphans {
		if id, ok := strings.CutSuffix(filepath.Base(path), ".mp3"); ok {
			if err := s.restoreClip(ctx, playlist.ClipID(id)); err != nil {
				return err
			}
			continue
		}
		if filepath.Ext(path) != ".tmp" {
			continue // put there by a person: not ours to remove
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Free returns how many bytes this program may still write on the store's disk.
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
