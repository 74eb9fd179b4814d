package link

import (
	"context"
	"time"
)

// What the fuzz targets feed directly.
var (
	ParseSync   = parseSync
	ParseAnswer = parseAnswer
	Pack        = pack
	Unpack      = unpack
)

// LoginSigner signs a broker's challenge as the controller's key would.
func LoginSigner(k *Key) func([]byte) ([]byte, error) { return k.broker().Sign }

// AskToEnrol goes through enrolment once, saying of itself what o.Self does.
func AskToEnrol(ctx context.Context, o Enrolment) (Decision, error) {
	code, err := ParseCode(o.Code)
	if err != nil {
		return Decision{}, err
	}
	return o.ask(ctx, code)
}

// ProveLogin is what proves that a login key is the controller's.
func ProveLogin(k *Key, of PublicKey) []byte {
	sig, _ := k.broker().Sign(statement("user", []byte(of.String())))
	return sig
}

// SetClipDial gives sources less time to answer a call, until it is undone.
func SetClipDial(d time.Duration) (undo func()) {
	before := clipDial
	clipDial = d
	return func() { clipDial = before }
}
