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
	RoleAlert    Role = "alert"    // documents of alerts
	RoleUpdate   Role = "update"   // new versions of the program; not used yet
	RoleFleet    Role = "fleet"    // member documents: areas, groups, logins
	RoleEdge     Role = "edge"     // stamps: the time, and which receipts are stored
)

var roles = []Role{RoleRoot, RolePlaylist, RoleAlert, RoleUpdate, RoleFleet, RoleEdge}

// TypeTrust is the payload type of a trust document.
const TypeTrust = "application/vnd.dalaba.trust.v1+json+gzip"

// Trust says which keys may sign which documents, like the root document of TUF. It
// does not expire: a controller that is offline for long still trusts its county.
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

// Check returns what is wrong with the document itself.
func (t Trust) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: trust, version %d: %s", playlist.ErrInvalid, t.Version, fmt.Sprintf(what, args...))
	}
	if !playlist.IsVersion(t.Version) {
		return bad("versions count from 1 to %d", playlist.MaxVersion)
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

// Fingerprint returns a hash of the root keys in groups of digits. The county shows
// it, and so does a controller that has enrolled there, so that people can compare
// the two.
func (t Trust) Fingerprint() string {
	h := t.Roles[RoleRoot]
	ids := slices.Sorted(slices.Values(h.Keys))
	return grouped(digest(fmt.Appendf(nil, "%d of %v", h.Threshold, ids)))
}

// Verify returns nil if enough keys of the role signed the envelope, [ErrWrongRole] if
// only keys of other roles signed it, and [ErrSignature] otherwise.
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

// Covers reports whether an envelope of the kind is signed as the trust document
// demands. It is true for every trust document, because those are not verified
// against a later one.
func (t Trust) Covers(k Kind, raw []byte) bool {
	if k == KindTrust {
		return true
	}
	e, err := ParseEnvelope(raw)
	return err == nil && t.Verify(e, k.Role()) == nil
}

// Signatures returns how many keys of a role signed the envelope, and how many must.
func (t Trust) Signatures(e Envelope, r Role) (n, needed int) {
	return t.signers(e, t.Roles[r]), t.Roles[r].Threshold
}

// signers returns how many keys of a role signed the envelope, each counted once.
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

// AcceptTrust verifies and reads a trust document. If held is an older one, the root
// keys of both must have signed the new one. One that says it is older than held is
// [ErrRolledBack], even if only its own root keys signed it. If held is nil, only the
// new one's own root keys must have signed it, and the caller must know that it comes
// from the county.
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
			if old, oerr := acceptTrust(e, nil); oerr == nil && old.Version < held.Version {
				err = fault{ErrRolledBack, say.M("link.rolled_back", old.Version, held.Version)} // if it is the county's, its root keys were replaced since
			}
			return Trust{}, err
		}
	}
	// If held is nil, the document is read before it is verified, because it holds
	// the keys that verify it. It is read strictly and within the limits all the
	// same.
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
