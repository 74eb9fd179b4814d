package web

import (
	"fmt"
	"time"

	"dalaba/playlist/say"
)

// Stamp returns an instant in a zone, without the year if it is the present one;
// empty if it is zero.
func Stamp(t, now time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if local := t.In(zone); local.Year() == now.In(zone).Year() {
		return local.Format("01-02 15:04:05")
	}
	return t.In(zone).Format(time.DateTime)
}

// Age returns about how long ago something was.
func Age(t, now time.Time) say.Message {
	switch d := now.Sub(t); {
	case d < 2*time.Minute:
		return say.M("view.ago_s", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return say.M("view.ago_m", int(d.Minutes()))
	case d < 48*time.Hour:
		return say.M("view.ago_h", int(d.Hours()))
	default:
		return say.M("view.ago_d", int(d.Hours()/24))
	}
}

// Size returns a number of bytes in the largest unit that leaves at least 1.
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)/1024)
}
