//go:build !cgo || noalsa

package devices_test

import (
	"errors"
	"testing"

	"dalaba/devices"
	"dalaba/playlist"
)

func TestABuildWithoutALSASaysSo(t *testing.T) {
	for _, name := range []string{"auto", "plughw:CARD=Device"} {
		if _, err := devices.Open(t.Context(), playlist.Output{Device: name}, devices.Options{}); !errors.Is(err, devices.ErrNoALSA) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := devices.List(); !errors.Is(err, devices.ErrNoALSA) {
		t.Errorf("list: %v", err)
	}
}
