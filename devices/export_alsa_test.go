//go:build cgo && !noalsa

package devices

const WakeAttempts = wakeAttempts

var (
	First   = first
	MixerOf = mixerOf

	SoundedSince = soundedSince
)
