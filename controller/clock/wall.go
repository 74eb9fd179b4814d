package clock

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// offsetFile is the environment variable that names a file with a duration, such
// as "-1h", which is added to the wall clock and read again each second. It is
// for tests, which must not set the machine's clock.
const offsetFile = "DALABA_CLOCK_OFFSET_FILE"

// Wall returns the wall clock that everything in the daemon goes by.
func Wall() func() time.Time {
	path := os.Getenv(offsetFile)
	if path == "" {
		return time.Now
	}
	var (
		mu     sync.Mutex
		read   time.Time
		offset time.Duration
	)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if read.IsZero() || time.Since(read) >= time.Second {
			read = time.Now()
			if b, err := os.ReadFile(path); err == nil {
				if d, err := time.ParseDuration(strings.TrimSpace(string(b))); err == nil {
					offset = d
				}
			}
		}
		return time.Now().Add(offset)
	}
}

// Boot returns the ID of this boot of the machine; empty if the kernel tells
// none.
func Boot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Uptime returns the time since boot, suspension included.
func Uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
