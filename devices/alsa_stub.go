//go:build !cgo || noalsa

package devices

import (
	"dalaba/playlist"
	"dalaba/playlist/say"
)

var errNoALSA = fault{ErrNoALSA, say.M("device.no_alsa")}

func openCard(playlist.Output, Options) (Device, error) { return nil, errNoALSA }
func firstCard() (string, error)                        { return "", errNoALSA }

func inspect(name string, _ bool) (Look, error) { return Look{Device: name}, errNoALSA }

// List returns what this machine can play on; [ErrNoALSA] if this build has no
// ALSA.
func List() (Listing, error) { return Listing{}, errNoALSA }
