package link

import (
	"context"
	"time"
)

// Unexported functions that the fuzz targets call.
var (
	ParseSync   = parseSync
	ParseAnswer = parseAnswer
	Pack        = pack
	Unpack      = unpack
)

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
