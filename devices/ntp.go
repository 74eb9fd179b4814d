package devices

import "golang.org/x/sys/unix"

// staUnsync is STA_UNSYNC of adjtimex(2): the kernel's clock is not
// synchronised to anything.
const staUnsync = 0x40

// Synchronised reports whether the kernel says that its clock is kept by NTP
// or the like: adjtimex(2) answers no TIME_ERROR and STA_UNSYNC is clear.
func Synchronised() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, err
	}
	return state != unix.TIME_ERROR && t.Status&staUnsync == 0, nil
}
