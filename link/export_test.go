package link

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// Unexported functions that the fuzz targets call.
var (
	ParseAnswer = parseAnswer
	Pack        = pack
	Unpack      = unpack
)

// ParseSync is parseSync without the size.
func ParseSync(b []byte) (SyncRequest, error) {
	q, _, err := parseSync(b)
	return q, err
}

// LoginSigner returns what signs a broker's challenge with the controller's key.
func LoginSigner(k *Key) func([]byte) ([]byte, error) { return k.brokerKey().Sign }

// AskToEnrol sends one enrolment request with o.Self as it is, without filling
// in the keys.
func AskToEnrol(ctx context.Context, o Enrolment) (Decision, error) {
	code, err := ParseCode(o.Code)
	if err != nil {
		return Decision{}, err
	}
	return o.enrolOnce(ctx, code)
}

// ProveLogin returns the proof that the login key of k belongs to the controller
// with the public key.
func ProveLogin(k *Key, of PublicKey) []byte {
	sig, _ := k.brokerKey().Sign(statement("user", []byte(of.String())))
	return sig
}

// SetClipDial sets how long a source of clips may take to accept a connection. undo
// restores the earlier value.
func SetClipDial(d time.Duration) (undo func()) {
	before := clipDial
	clipDial = d
	return func() { clipDial = before }
}

// Handled puts requests of one controller before an edge's workers, each as soon as the
// one before is handled, and returns how many of them are handled within a time. Each has
// so many bytes, unpacked. Call it in a synctest bubble.
func Handled(subject string, bytes int, within time.Duration) (n int) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	t := newTurns()
	defer context.AfterFunc(ctx, t.end)()
	m := &nats.Msg{Subject: subject}
	for {
		_ = t.put("daba-1", m)
		m, s, ok := t.next(ctx)
		if !ok {
			return n
		}
		n++
		t.done(m, s, bytes)
	}
}
