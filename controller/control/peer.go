package control

import (
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"dalaba/data"
	"dalaba/web"
)

// Group is the group whose members may use the socket.
const Group = "dalaba"

// access is who may use the socket besides root.
type access struct {
	owner uint32 // of the data folder
	group int    // -1: there is no such group
}

func accessTo(dataDir string) access {
	a := access{owner: uint32(os.Geteuid()), group: -1}
	if fi, err := os.Stat(dataDir); err == nil {
		a.owner = fi.Sys().(*syscall.Stat_t).Uid
	}
	if g, err := user.LookupGroup(Group); err == nil {
		if id, err := strconv.Atoi(g.Gid); err == nil {
			a.group = id
		}
	}
	return a
}

// secure gives the socket to its owner and the group. If the group cannot be given,
// only the owner may use it.
func (a access) secure(path string) error {
	mode := os.FileMode(0o600)
	if a.group >= 0 && os.Chown(path, -1, a.group) == nil {
		mode = 0o660
	}
	if int(a.owner) != os.Geteuid() {
		if err := os.Chown(path, int(a.owner), -1); err != nil {
			return err
		}
	}
	return os.Chmod(path, mode)
}

// allows reports whether the process at the other end may use the socket.
func (a access) allows(c net.Conn) bool {
	peer, err := web.Peer(c)
	return err == nil && a.may(peer.Uid, peer.Gid)
}

// may reports whether a process of a user may, with that as its first group.
func (a access) may(uid, gid uint32) bool {
	if uid == 0 || uid == a.owner || uid == uint32(os.Geteuid()) {
		return true
	}
	if a.group < 0 {
		return false
	}
	if int(gid) == a.group {
		return true
	}
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.Itoa(a.group))
}

// userOf is the name of the user at the other end of a unix socket; empty if it is not
// known.
func userOf(c net.Conn) string {
	peer, err := web.Peer(c)
	if err != nil {
		return ""
	}
	return data.UserName(peer.Uid)
}
