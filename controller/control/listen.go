package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist/say"
)

const lockName = "control.lock" // of the daemon that has the machine's place

// listener is the daemon's end of the socket.
type listener struct {
	net.Listener
	path string
	lock *os.File // on the folder that several daemons may want; nil: none
}

// Close stops listening and removes the socket.
func (l *listener) Close() error {
	err := errors.Join(l.Listener.Close(), os.Remove(l.path))
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

// listen takes the first place for the socket that it can have. The group cannot look
// into the data folder, so that for its sake the socket lies there only if need be.
func listen(dataDir string, who access) (*listener, error) {
	removeOld(dataDir)
	if l, err := listenInRun(dataDir, who); err == nil {
		return l, nil
	}
	all := []string{filepath.Join(dataDir, socketName), inMemory(dataDir)}
	if who.group >= 0 {
		slices.Reverse(all)
	}
	var faults error
	for _, path := range all {
		ln, err := listenAt(path, who)
		if err == nil {
			return &listener{Listener: ln, path: path}, nil
		}
		faults = errors.Join(faults, err)
	}
	return nil, faults
}

// removeOld removes what earlier daemons of the data folder left behind. The
// caller holds the folder, so that no such daemon runs.
func removeOld(dataDir string) {
	for _, path := range append(oldPlaces(dataDir), filepath.Join(dataDir, socketName), inMemory(dataDir)) {
		if data.Ours(dataDir, path) {
			_ = os.Remove(path) // one that cannot be removed is not listened at
		}
	}
}

// listenInRun takes the machine's place. Only one daemon has it. A folder in which
// others can make files is not it.
func listenInRun(dataDir string, who access) (*listener, error) {
	dir := runDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm()&0o002 != 0 || !data.Ours(dataDir, dir) {
		return nil, errors.Join(err, &fs.PathError{Op: "listen", Path: dir, Err: fs.ErrPermission})
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	path := filepath.Join(dir, socketName)
	ln, err := listenAt(path, who)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &listener{Listener: ln, path: path, lock: lock}, nil
}

// GiveFolder has a daemon of root that is about to work as the owner of its data folder
// give the machine's place for the socket to that user, who could not make the socket
// there. It makes the folder if need be; one that is another's, or in which another
// daemon listens, stays as it is: then the socket lies elsewhere.
func GiveFolder(dataDir string) {
	var to unix.Stat_t
	if err := unix.Stat(dataDir, &to); os.Geteuid() != 0 || err != nil || to.Uid == 0 {
		return
	}
	dir := runDir()
	if os.MkdirAll(dir, 0o755) != nil {
		return
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid != 0 || st.Mode&0o022 != 0 {
		return
	}
	lock, err := unix.Openat(fd, lockName, unix.O_CREAT|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(lock) }()
	if unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB) == nil && unix.Fchown(lock, int(to.Uid), -1) == nil {
		_ = unix.Fchown(fd, int(to.Uid), -1)
	}
}

// listenAt takes the path from whatever lies there. The socket has its mode and
// owner before it has its name.
func listenAt(path string, who access) (net.Listener, error) {
	fresh := path + ".new"
	if len(fresh) > maxPath {
		return nil, say.M("technician.long_path", path, maxPath-len(".new"))
	}
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err = who.secure(fresh); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close(), os.Remove(fresh))
	}
	return ln, nil
}
