package web

import (
	"fmt"
	"math"
	"strconv"
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

// Percent returns a share in whole percents, half of one rounded up. They are 100 or 0
// only if it is exactly all or nothing.
func Percent(share float64) string {
	p := math.Floor(math.Round(share*1e9)/1e7 + 0.5) // first without what binary fractions add
	switch {
	case share > 0 && p < 1:
		p = 1
	case share < 1 && p > 99:
		p = 99
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "%"
}

// Times returns how often something happened on average, to a tenth, half of one
// rounded up.
func Times(n float64) string {
	return strconv.FormatFloat(math.Floor(math.Round(n*1e9)/1e8+0.5)/10, 'f', 1, 64)
}

// Seconds returns a length in seconds, to a tenth, as %.1f in the catalogue of words does.
func Seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }

// Length returns a length in minutes and whole seconds, as 1:05.
func Length(d time.Duration) string {
	n := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", n/60, n%60)
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
