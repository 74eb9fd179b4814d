package data

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"dalaba/playlist/say"
)

// FailedStart is one way in which starts of the daemon failed since the last one that
// did not. It is kept in files of its own, because a start may fail before there is a
// store.
type FailedStart struct {
	Kind  string              `json:"kind"` // starts of the same kind count as one failure
	Why   map[say.Lang]string `json:"why"`  // for people
	First time.Time           `json:"first"`
	Last  time.Time           `json:"last"`
	Times int                 `json:"times"`

	Boot   string `json:"boot"`    // ID of the machine's boot, of the last one
	MonoMS int64  `json:"mono_ms"` // milliseconds since that boot

	UID  uint32 `json:"uid"` // who tried
	User string `json:"-"`   // the same by name, if that is neither root nor the owner of the data folder nor this user
}

const (
	failuresKept = 8
	failureText  = 4 << 10   // bytes of a reason
	failureFile  = 128 << 10 // bytes of a file that is read
	failureUsers = 16        // files of users that are read

	// systemd starts a daemon that failed every few seconds, for days. The disk is
	// written when a new kind of failure comes, at most so often, and hourly for
	// the count. The exact count is kept in memory.
	failureApart = time.Minute
	failureEvery = time.Hour
)

// failureDisk is the file in the data folder; empty if that is not known.
func failureDisk(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "failed-starts.json")
}

// failureMemory is where failures lie in memory, up to the number of the user: those of
// the data folder or, if that was not known, of the config file.
func failureMemory(file, dir string) string {
	if dir != "" {
		file = dir
	}
	return Aside(file) + ".failed-"
}

// NoteFailedStart counts a failed start by a config file. dir is the data folder, or
// empty if that is not known; it is not made. f has Kind, Why, Last, Boot and MonoMS.
func NoteFailedStart(file, dir string, f FailedStart) error {
	f.UID = uint32(os.Geteuid())
	path := failureMemory(file, dir) + strconv.FormatUint(uint64(f.UID), 10)
	onDisk, written := []FailedStart(nil), time.Time{}
	if fi, err := os.Lstat(failureDisk(dir)); dir != "" && err == nil {
		onDisk, written = readFailures(failureDisk(dir), false), fi.ModTime()
	}
	all := counted(withCounts(append(readFailures(path, true), onDisk...)), f)
	known := slices.ContainsFunc(onDisk, f.same)
	age := time.Since(written)
	if dir != "" && (age < 0 || age >= failureEvery || !known && age >= failureApart) {
		text, err := json.Marshal(all)
		if err == nil && KeepFile(failureDisk(dir), text) == nil {
			return nil
		}
	}
	return keepInMemory(path, slices.DeleteFunc(all, func(g FailedStart) bool { return g.UID != f.UID }))
}

// same reports whether two failures count as one.
func (f FailedStart) same(g FailedStart) bool { return f.UID == g.UID && f.Kind == g.Kind }

// counted returns the failures with one more, the latest last.
func counted(all []FailedStart, f FailedStart) []FailedStart {
	f.First, f.Times = f.Last, 1
	for l, text := range f.Why {
		f.Why[l] = shortened(text)
	}
	if i := slices.IndexFunc(all, f.same); i >= 0 {
		f.First, f.Times = all[i].First, all[i].Times+1
		all = slices.Delete(all, i, i+1)
	}
	all = append(all, f)
	return all[max(0, len(all)-failuresKept):]
}

func shortened(text string) string {
	if len(text) <= failureText {
		return text
	}
	text = text[:failureText]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + " …"
}

// keepInMemory replaces a file in a folder in which anybody may make files: it follows
// no link that another user has put there.
func keepInMemory(path string, all []FailedStart) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(tmp.Name()))
	}
	return err
}

// readFailures reads a file; what is no list of failures counts as none. own means
// that they are failures of the file's owner, whatever it says.
func readFailures(path string, own bool) []FailedStart {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, failureFile))
	var all []FailedStart
	if err != nil || json.Unmarshal(text, &all) != nil {
		return nil
	}
	for i := range all {
		if own {
			all[i].UID = fi.Sys().(*syscall.Stat_t).Uid
		}
	}
	return all[:min(len(all), failuresKept)]
}

// FailedStarts returns the failed starts by a config file and of a data folder, which
// may be empty, since the last start that did not fail: the latest last.
func FailedStarts(file, dir string) []FailedStart {
	all := readFailures(failureDisk(dir), false)
	for _, path := range failureFiles(file, dir) {
		all = append(all, readFailures(path, true)...)
	}
	return withCounts(named(all, dir))
}

// failureFiles returns the files in memory.
func failureFiles(file, dir string) []string {
	var all []string
	for _, before := range slices.Compact([]string{failureMemory(file, ""), failureMemory(file, dir)}) {
		found, _ := filepath.Glob(before + "*")
		for _, path := range found {
			uid, err := strconv.ParseUint(strings.TrimPrefix(path, before), 10, 32)
			if fi, serr := os.Lstat(path); err == nil && serr == nil && uint64(fi.Sys().(*syscall.Stat_t).Uid) == uid {
				all = append(all, path)
			}
		}
	}
	return all[:min(len(all), failureUsers)]
}

// withCounts returns each failure once, with the highest count of it: the file on the
// disk lags behind the one in memory. The latest failure is the last.
func withCounts(all []FailedStart) []FailedStart {
	slices.SortStableFunc(all, func(a, b FailedStart) int { return a.Times - b.Times })
	var kept []FailedStart
	for i, f := range all {
		if !slices.ContainsFunc(all[i+1:], f.same) {
			kept = append(kept, f)
		}
	}
	slices.SortStableFunc(kept, func(a, b FailedStart) int { return a.Last.Compare(b.Last) })
	return kept
}

// named fills in who tried: a file in memory may be anybody's.
func named(all []FailedStart, dir string) []FailedStart {
	owner := uint32(os.Geteuid())
	if fi, err := os.Stat(dir); err == nil {
		owner = fi.Sys().(*syscall.Stat_t).Uid
	}
	for i, f := range all {
		if f.UID == 0 || f.UID == owner || f.UID == uint32(os.Geteuid()) {
			continue
		}
		all[i].User = UserName(f.UID)
	}
	return all
}

// ForgetFailedStarts removes the failed starts and returns them, for the log of the
// start that did not fail. Those that cannot be removed stay, and are not returned.
func ForgetFailedStarts(file, dir string) ([]FailedStart, error) {
	var (
		all    []FailedStart
		faults error
	)
	forget := func(path string, own bool) {
		some := readFailures(path, own)
		switch err := os.Remove(path); {
		case err == nil:
			all = append(all, some...)
		case !errors.Is(err, fs.ErrNotExist):
			faults = errors.Join(faults, err)
		}
	}
	forget(failureDisk(dir), false)
	for _, path := range failureFiles(file, dir) {
		forget(path, true)
	}
	return withCounts(named(all, dir)), faults
}
