package county

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"dalaba/county/store"
	"dalaba/data/secret"
	"dalaba/link"
)

// The files of a county's keys. The root keys belong on paper or sticks, each
// in another drawer, and the playlist key on the machine of the editor who is
// responsible for the programme; the server needs neither, and they can be made
// elsewhere. See [DraftFirst].
const (
	RootKeys    = 3
	fewestRoots = 2
	keyFleet    = "fleet.key"
	keyEdge     = "edge.key"
	keyAlert    = "alert.key"
	KeyPlaylist = "playlist.key"
)

// serverKeys are the keys that must lie on the server.
var serverKeys = map[link.Role]string{link.RoleFleet: keyFleet, link.RoleEdge: keyEdge, link.RoleAlert: keyAlert}

// draftFile is the trust document that a county waits for, not yet signed.
const draftFile = "trust-draft.json"

// RootKey is the file name of one of the root keys, from 1.
func RootKey(n int) string { return fmt.Sprintf("root-%d.key", n) }

// MakeKeys makes a county's keys in dir and the trust document that says what
// each is worth, signed by the root keys. Keys that exist already are
// used.
func MakeKeys(dir string, t link.Trust) (link.Envelope, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return link.Envelope{}, err
	}
	var roots []link.Signer
	keys := map[link.Role][]link.PublicKey{}
	for n := range RootKeys {
		k, _, err := ensureKey(filepath.Join(dir, RootKey(n+1)))
		if err != nil {
			return link.Envelope{}, err
		}
		roots, keys[link.RoleRoot] = append(roots, k), append(keys[link.RoleRoot], k.Public())
	}
	k, _, err := ensureKey(filepath.Join(dir, KeyPlaylist))
	if err != nil {
		return link.Envelope{}, err
	}
	keys[link.RolePlaylist] = []link.PublicKey{k.Public()}
	if err := addServerKeys(dir, keys); err != nil {
		return link.Envelope{}, err
	}
	for role, all := range keys {
		t.Grant(role, threshold(role, len(all)), all...)
	}
	return link.SealTrust(t, roots...)
}

// threshold is how many of the keys of a role must sign: most of the root keys, and any
// one of the others.
func threshold(r link.Role, keys int) int {
	if r == link.RoleRoot {
		return keys/2 + 1
	}
	return 1
}

// ensureKey reads a key, or makes it.
func ensureKey(path string) (k *link.Key, made bool, err error) {
	k, err = link.ReadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	k = link.NewKey()
	return k, true, link.WriteKey(path, k)
}

// addServerKeys adds the server's own keys for the roles that have none, making those that
// are absent.
func addServerKeys(dir string, keys map[link.Role][]link.PublicKey) error {
	for role, name := range serverKeys {
		if len(keys[role]) > 0 {
			continue
		}
		k, _, err := ensureKey(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		keys[role] = []link.PublicKey{k.Public()}
	}
	return nil
}

// The ends of the names of a private key's file and of its public half's.
const (
	endPrivate = ".key"
	endPublic  = ".pub"
)

// MadeKey is what [MakeKey] did.
type MadeKey struct {
	Private     string `json:"private"` // file
	Public      string `json:"public"`  // file
	Fingerprint string `json:"fingerprint"`
	Made        bool   `json:"made"` // false: the private key was there
}

// MakeKey makes a private key, unless the file has one, and writes its public half beside
// it. It needs no server.
func MakeKey(path string) (MadeKey, error) {
	name, ok := strings.CutSuffix(path, endPrivate)
	if !ok {
		return MadeKey{}, invalid("county.key_name", path)
	}
	k, made, err := ensureKey(path)
	if err != nil {
		return MadeKey{}, err
	}
	m := MadeKey{Private: path, Public: name + endPublic, Fingerprint: k.Public().Fingerprint(), Made: made}
	return m, renameio.WriteFile(m.Public, []byte(k.Public().String()+"\n"), 0o644)
}

// ReadPublic reads the public half of a key.
func ReadPublic(path string) (link.PublicKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return link.PublicKey{}, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 4096)) // it has 53 bytes
	if err != nil {
		return link.PublicKey{}, err
	}
	k, err := link.ParsePublicKey(strings.TrimSpace(string(text)))
	if err != nil {
		err = invalid("county.key_not_public", path)
	}
	return k, err
}

// DraftTrust makes the trust document that follows the one in force: the keys of the roles
// that are given are exchanged. The holders of the root keys have to sign it.
func DraftTrust(held link.Trust, keys map[link.Role][]link.PublicKey, now time.Time) ([]byte, error) {
	if len(keys) == 0 {
		return nil, invalid("county.draft_nothing")
	}
	t := link.Trust{Version: held.Version + 1, Issued: now.UTC()}
	for role, h := range held.Roles {
		if len(keys[role]) > 0 {
			continue
		}
		for _, id := range h.Keys {
			t.Grant(role, h.Threshold, held.Keys[id])
		}
	}
	return draft(t, keys)
}

// DraftFirst makes the first trust document of a county whose root and playlist keys were
// made elsewhere. The server's own keys are in dir, or are made. Until [HandInTrust] gets
// the document, signed, the county does not start: it makes no keys in the place of those.
func DraftFirst(dir string, keys map[link.Role][]link.PublicKey, now time.Time) ([]byte, error) {
	if len(keys[link.RoleRoot]) == 0 || len(keys[link.RolePlaylist]) == 0 {
		return nil, invalid("county.draft_first")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := addServerKeys(dir, keys); err != nil {
		return nil, err
	}
	raw, err := draft(link.Trust{Version: 1, Issued: now.UTC()}, keys)
	if err != nil {
		return nil, err
	}
	return raw, secret.Write(filepath.Join(dir, draftFile), raw)
}

func draft(t link.Trust, keys map[link.Role][]link.PublicKey) ([]byte, error) {
	for role, all := range keys {
		distinct := map[link.KeyID]bool{}
		for _, k := range all {
			distinct[k.ID()] = true
		}
		if role == link.RoleRoot && len(distinct) < fewestRoots {
			return nil, invalid("county.draft_roots", fewestRoots)
		}
		t.Grant(role, threshold(role, len(distinct)), all...)
	}
	env, err := link.SealTrust(t)
	return env.Bytes(), err
}

// Trust returns the trust document in force in a store; nil if there is none yet.
func Trust(ctx context.Context, st *store.Store) (*link.Trust, error) {
	t, err := (&documents{envelopes: st}).trust(ctx)
	if errors.Is(err, link.ErrNoTrust) {
		return nil, nil
	}
	return &t, err
}

// HandInTrust puts a signed trust document in force in a county that does not run; dir is
// the folder of its keys. The first one must be the one that [DraftFirst] made there: no
// other can say for which keys it is.
func HandInTrust(ctx context.Context, st *store.Store, dir string, log *slog.Logger, raw []byte) error {
	d := &documents{base: base{log: log}, envelopes: st}
	_, err := d.trust(ctx)
	if errors.Is(err, link.ErrNoTrust) {
		err = drafted(dir, raw)
	}
	if err != nil {
		return err
	}
	if err := d.addTrust(ctx, raw); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, draftFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// drafted returns an error unless a document is the one that was drafted here.
func drafted(dir string, raw []byte) error {
	text, err := os.ReadFile(filepath.Join(dir, draftFile))
	if errors.Is(err, fs.ErrNotExist) {
		return invalid("county.trust_no_draft")
	}
	if err != nil {
		return err
	}
	want, _, err := link.Preview(text)
	if err != nil {
		return err
	}
	got, _, err := link.Preview(raw)
	if err == nil && got.Digest() != want.Digest() {
		err = invalid("county.trust_other")
	}
	return err
}

// unnamed lists the roles of the keys here to which a trust document does not give the
// role: what they sign is refused.
func (k Keys) unnamed(t link.Trust) (all []link.Role) {
	for role, key := range map[link.Role]link.Signer{
		link.RoleFleet: k.Fleet, link.RoleEdge: k.Edge, link.RoleAlert: k.Alert, link.RolePlaylist: k.Playlist,
	} {
		if key != nil && !slices.Contains(t.Roles[role].Keys, key.Public().ID()) {
			all = append(all, role)
		}
	}
	slices.Sort(all)
	return all
}

// signsManifests reports whether the playlist key lies here and has that role.
func (k Keys) signsManifests(t link.Trust) bool {
	return k.Playlist != nil && !slices.Contains(k.unnamed(t), link.RolePlaylist)
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

// Found begins a county that has no trust document yet, with keys made in dir,
// unless [DraftFirst] says that they are made elsewhere. It reports whether it did.
func Found(ctx context.Context, st *store.Store, dir string) (made bool, err error) {
	d := &documents{envelopes: st}
	_, err = d.trust(ctx)
	if !errors.Is(err, link.ErrNoTrust) {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(dir, draftFile)); err == nil {
		return false, invalid("county.trust_awaited")
	}
	env, err := MakeKeys(dir, link.Trust{Version: 1, Issued: time.Now().UTC()})
	if err != nil {
		return false, err
	}
	return true, d.addTrust(ctx, env.Bytes())
}
