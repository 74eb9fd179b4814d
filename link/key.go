package link

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"

	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// AlgEd25519 is the only algorithm today. Each key names its algorithm, so that
// SM2 keys can be used beside these later.
const AlgEd25519 = "ed25519"

// KeyID names a public key: the first 32 hex digits of the SHA-256 of its text
// form.
type KeyID string

// PublicKey is a key that verifies signatures. Its text form, in JSON too, is
// "ed25519:" and the key in base64.
type PublicKey struct {
	Algorithm string
	Key       []byte
}

// ParsePublicKey reads the text form.
func ParsePublicKey(s string) (PublicKey, error) {
	alg, text, _ := strings.Cut(s, ":")
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || alg != AlgEd25519 || len(key) != ed25519.PublicKeySize {
		return PublicKey{}, fault{playlist.ErrInvalid, say.M("link.no_public_key", s)}
	}
	return PublicKey{alg, key}, nil
}

func (k PublicKey) String() string {
	return k.Algorithm + ":" + base64.StdEncoding.EncodeToString(k.Key)
}

// MarshalText writes the text form.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text form.
func (k *PublicKey) UnmarshalText(b []byte) error {
	p, err := ParsePublicKey(string(b))
	*k = p
	return err
}

func (k PublicKey) hash() [32]byte { return sha256.Sum256([]byte(k.String())) }

// ID returns the key's ID.
func (k PublicKey) ID() KeyID {
	h := k.hash()
	return KeyID(hex.EncodeToString(h[:16]))
}

// Fingerprint returns the ID in groups of four, which people can compare over the
// telephone.
func (k PublicKey) Fingerprint() string { return grouped(string(k.ID())) }

// grouped puts a blank after every four characters.
func grouped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Equal reports whether both are the same key.
func (k PublicKey) Equal(o PublicKey) bool {
	return k.Algorithm == o.Algorithm && bytes.Equal(k.Key, o.Key)
}

// Verify reports whether sig is the key's signature of msg.
func (k PublicKey) Verify(msg, sig []byte) bool {
	return k.Algorithm == AlgEd25519 && len(k.Key) == ed25519.PublicKeySize && ed25519.Verify(k.Key, msg, sig)
}

// Signer signs messages. A [Key] is one; a smart card or an SM2 key could be
// another.
type Signer interface {
	Public() PublicKey
	Sign(msg []byte) ([]byte, error)
}

// Key is a private key.
type Key struct{ seed []byte }

// NewKey makes a key.
func NewKey() *Key {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // cannot fail
	return &Key{seed}
}

// Public returns the public key.
func (k *Key) Public() PublicKey {
	return PublicKey{AlgEd25519, ed25519.NewKeyFromSeed(k.seed).Public().(ed25519.PublicKey)}
}

// Sign signs a message.
func (k *Key) Sign(msg []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.NewKeyFromSeed(k.seed), msg), nil
}

// brokerKey returns the key with which the controller logs in to the broker. It
// differs from the key that signs receipts: to log a user in, the broker chooses
// bytes that the user must sign, and it must not be able to choose a batch of
// receipts.
func (k *Key) brokerKey() nkeys.KeyPair {
	seed, err := hkdf.Key(sha256.New, k.seed, nil, "dalaba broker login", ed25519.SeedSize)
	if err != nil {
		panic(err)
	}
	text, err := nkeys.EncodeSeed(nkeys.PrefixByteUser, seed)
	if err != nil {
		panic(err)
	}
	pair, err := nkeys.FromSeed(text)
	if err != nil {
		panic(err)
	}
	return pair
}

// BrokerUser returns the name of the key's broker login, an nkey that begins
// with U.
func (k *Key) BrokerUser() string {
	name, err := k.brokerKey().PublicKey()
	if err != nil {
		panic(err)
	}
	return name
}

type keyFile struct {
	Algorithm string    `json:"algorithm"`
	Public    PublicKey `json:"public"`
	Seed      []byte    `json:"seed"`
}

// WriteKey writes a key to a new file that only its owner may read. If the file
// exists, it returns an error and leaves the file as it is.
func WriteKey(path string, k *Key) error {
	text, err := json.MarshalIndent(keyFile{AlgEd25519, k.Public(), k.seed}, "", "  ")
	if err != nil {
		return err
	}
	return secret.Create(path, append(text, '\n'))
}

// ReadKey reads a key that [WriteKey] wrote, as [secret.Read] does.
func ReadKey(path string) (*Key, error) {
	text, err := secret.Read(path)
	if err != nil {
		return nil, err
	}
	var f keyFile
	if err := decodeStrict(text, &f); err != nil || f.Algorithm != AlgEd25519 || len(f.Seed) != ed25519.SeedSize {
		return nil, fault{playlist.ErrInvalid, say.M("link.no_key", path)}
	}
	k := &Key{f.Seed}
	if !k.Public().Equal(f.Public) {
		return nil, fmt.Errorf("%w: the halves differ", fault{playlist.ErrInvalid, say.M("link.no_key", path)})
	}
	return k, nil
}
