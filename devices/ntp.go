package devices

import "golang.org/x/sys/unix"

// staUnsync is STA_UNSYNC of adjtimex(2): the kernel's clock is not
// synchronised.
const staUnsync = 0x40

// Synchronised reports whether the kernel says that NTP or the like keeps its
// clock: adjtimex(2) does not return TIME_ERROR, and STA_UNSYNC is clear.
func Synchronised() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, err
	}
	return state != unix.TIME_ERROR && t.Status&staUnsync == 0, nil
}
