package link

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Role is what a key may sign.
type Role string

const (
	RoleRoot     Role = "root"     // trust documents; offline, 2 of 3
	RolePlaylist Role = "playlist" // manifests
	RoleAlert    Role = "alert"    // what is in force of alerts
	RoleUpdate   Role = "update"   // programs, one day
	RoleFleet    Role = "fleet"    // who a controller is: areas, groups, logins
	RoleEdge     Role = "edge"     // the time, and which receipts are stored
)

var roles = []Role{RoleRoot, RolePlaylist, RoleAlert, RoleUpdate, RoleFleet, RoleEdge}

// TypeTrust is the payload type of a trust document.
const TypeTrust = "application/vnd.dalaba.trust.v1+json+gzip"

// Trust says whose signature is worth what, in the manner of TUF's root
// document. It does not expire: a controller long offline goes on believing
// its county.
type Trust struct {
	Version int64                `json:"version"`
	Issued  time.Time            `json:"issued"`
	Keys    map[KeyID]PublicKey  `json:"keys"`
	Roles   map[Role]RoleHolders `json:"roles"`
}

// RoleHolders are the keys of a role and how many of them must sign.
type RoleHolders struct {
	Keys      []KeyID `json:"keys"`
	Threshold int     `json:"threshold"`
}

// Grant adds keys to a role and sets its threshold.
func (t *Trust) Grant(r Role, threshold int, keys ...PublicKey) {
	if t.Keys == nil {
		t.Keys, t.Roles = map[KeyID]PublicKey{}, map[Role]RoleHolders{}
	}
	h := t.Roles[r]
	for _, k := range keys {
		t.Keys[k.ID()] = k
		if !slices.Contains(h.Keys, k.ID()) {
			h.Keys = append(h.Keys, k.ID())
		}
	}
	h.Threshold = threshold
	t.Roles[r] = h
}

// Check reports what is wrong with the document itself.
func (t Trust) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: trust, version %d: %s", playlist.ErrInvalid, t.Version, fmt.Sprintf(what, args...))
	}
	if t.Version < 1 {
		return bad("versions count from 1")
	}
	if len(t.Keys) > 64 {
		return bad("more than 64 keys")
	}
	for id, k := range t.Keys {
		if k.ID() != id {
			return bad("key %s is listed as %s", k.ID(), id)
		}
	}
	for _, r := range slices.Sorted(maps.Keys(t.Roles)) {
		h := t.Roles[r]
		distinct := map[KeyID]bool{}
		for _, id := range h.Keys {
			if _, ok := t.Keys[id]; !ok {
				return bad("role %s names key %s, which is not listed", r, id)
			}
			distinct[id] = true
		}
		if h.Threshold < 1 || h.Threshold > len(distinct) {
			return bad("role %s: threshold %d of %d keys", r, h.Threshold, len(distinct))
		}
	}
	if _, ok := t.Roles[RoleRoot]; !ok {
		return bad("nobody has the role root")
	}
	return nil
}

// Fingerprint is the root keys in groups of digits that people can compare: a
// county shows it, and a controller that has enrolled there.
func (t Trust) Fingerprint() string {
	h := t.Roles[RoleRoot]
	ids := slices.Sorted(slices.Values(h.Keys))
	return grouped(digest(fmt.Appendf(nil, "%d of %v", h.Threshold, ids)))
}

// Verify reports whether enough keys of the role signed the envelope. Errors
// are [ErrWrongRole], where only keys of other roles did, and [ErrSignature].
func (t Trust) Verify(e Envelope, r Role) error {
	holders, ok := t.Roles[r]
	if ok && t.signers(e, holders) >= holders.Threshold && holders.Threshold > 0 {
		return nil
	}
	if t.signers(e, holders) == 0 {
		for _, other := range roles {
			if h := t.Roles[other]; other != r && t.signers(e, h) > 0 {
				return fault{ErrWrongRole, say.M("link.wrong_role", string(other), string(r))}
			}
		}
	}
	return fault{ErrSignature, say.M("link.signature", t.signers(e, holders), max(1, holders.Threshold), string(r))}
}

// covers reports whether an envelope of the kind is signed as the trust
// document demands. A trust document stands by itself.
func (t Trust) covers(k Kind, raw []byte) bool {
	if k == KindTrust {
		return true
	}
	e, err := ParseEnvelope(raw)
	return err == nil && t.Verify(e, k.Role()) == nil
}

// signers counts the keys of a role that signed, each once.
func (t Trust) signers(e Envelope, h RoleHolders) (n int) {
	seen := map[KeyID]bool{}
	for _, id := range h.Keys {
		if k, ok := t.Keys[id]; ok && !seen[id] && k.ID() == id && e.Valid(k) {
			n++
		}
		seen[id] = true
	}
	return n
}

// AcceptTrust opens a trust document. Where an older one is held, its root
// keys must have signed as well as the new one's; with none held the new one
// vouches for itself, and the caller has it from where it can be believed.
func AcceptTrust(raw []byte, held *Trust) (Trust, error) {
	e, err := ParseEnvelope(raw)
	if err != nil {
		return Trust{}, err
	}
	return acceptTrust(e, held)
}

func acceptTrust(e Envelope, held *Trust) (Trust, error) {
	if e.PayloadType != TypeTrust {
		return Trust{}, fault{ErrWrongType, say.M("link.wrong_type", e.PayloadType)}
	}
	if held != nil {
		if err := held.Verify(e, RoleRoot); err != nil {
			return Trust{}, err
		}
	}
	// Without a held one the document is read before it is verified: its keys
	// stand in it. Bounds and strictness hold all the same.
	var t Trust
	if err := e.open(&t); err != nil {
		return Trust{}, err
	}
	if err := t.Check(); err != nil {
		return Trust{}, err
	}
	if err := t.Verify(e, RoleRoot); err != nil {
		return Trust{}, err
	}
	if held != nil && t.Version < held.Version {
		return Trust{}, fault{ErrRolledBack, say.M("link.rolled_back", t.Version, held.Version)}
	}
	return t, nil
}
