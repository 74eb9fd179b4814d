package county

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dalaba/county/store"
	"dalaba/link"
)

// The files of a county's keys. The root keys belong on paper or sticks, each
// in another drawer, and the playlist key on the machine of the editor who is
// responsible for the programme; the server needs neither.
const (
	RootKeys    = 3
	rootQuorum  = 2
	keyFleet    = "fleet.key"
	keyEdge     = "edge.key"
	keyAlert    = "alert.key"
	KeyPlaylist = "playlist.key"
)

// RootKey is the file name of one of the root keys, from 1.
func RootKey(n int) string { return fmt.Sprintf("root-%d.key", n) }

// MakeKeys makes a county's keys in dir and the trust document that says what
// each is worth, signed by the root keys. Keys that exist already are
// used.
func MakeKeys(dir string, t link.Trust) (link.Envelope, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return link.Envelope{}, err
	}
	key := func(name string) (*link.Key, error) {
		path := filepath.Join(dir, name)
		k, err := link.ReadKey(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
		k = link.NewKey()
		return k, link.WriteKey(path, k)
	}
	var roots []link.Signer
	var public []link.PublicKey
	for n := range RootKeys {
		k, err := key(RootKey(n + 1))
		if err != nil {
			return link.Envelope{}, err
		}
		roots, public = append(roots, k), append(public, k.Public())
	}
	t.Grant(link.RoleRoot, rootQuorum, public...)
	for role, name := range map[link.Role]string{
		link.RoleFleet: keyFleet, link.RoleEdge: keyEdge, link.RoleAlert: keyAlert, link.RolePlaylist: KeyPlaylist,
	} {
		k, err := key(name)
		if err != nil {
			return link.Envelope{}, err
		}
		t.Grant(role, 1, k.Public())
	}
	return link.SealTrust(t, roots...)
}

// ReadKeys reads the keys that a server needs, and the playlist key if it lies
// beside them.
func ReadKeys(dir string) (k Keys, err error) {
	for name, to := range map[string]*link.Signer{keyFleet: &k.Fleet, keyEdge: &k.Edge, keyAlert: &k.Alert, KeyPlaylist: &k.Playlist} {
		key, kerr := link.ReadKey(filepath.Join(dir, name))
		switch {
		case name == KeyPlaylist && errors.Is(kerr, fs.ErrNotExist):
		case kerr != nil:
			err = errors.Join(err, kerr)
		default:
			*to = key
		}
	}
	return k, err
}

// Found begins a county that has no trust document yet, with keys made in dir.
// It reports whether it did.
func Found(ctx context.Context, st *store.Store, dir string) (made bool, err error) {
	d := &documents{envelopes: st}
	_, err = d.trust(ctx)
	if !errors.Is(err, link.ErrNoTrust) {
		return false, err
	}
	env, err := MakeKeys(dir, link.Trust{Version: 1, Issued: time.Now().UTC()})
	if err != nil {
		return false, err
	}
	return true, d.addTrust(ctx, env.Bytes())
}
