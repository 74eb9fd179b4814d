//go:build cgo && !noalsa

package devices

var (
	First   = first
	MixerOf = mixerOf
)
