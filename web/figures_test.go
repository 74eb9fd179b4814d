package web_test

import (
	"fmt"
	"testing"
	"time"

	"dalaba/web"
)

func TestASharesPercentsAreAllOrNothingOnlyIfItIs(t *testing.T) {
	for _, c := range []struct {
		part, whole int
		want        string
	}{
		{0, 5, "0%"},
		{1, 1000, "1%"},
		{1, 1 << 40, "1%"},
		{2, 3, "67%"},
		{1, 3, "33%"},
		{5, 8, "63%"},
		{29, 200, "15%"}, // 14.5, which no binary fraction is
		{199, 200, "99%"},
		{1<<40 - 1, 1 << 40, "99%"},
		{5, 5, "100%"},
	} {
		if got := web.Percent(float64(c.part) / float64(c.whole)); got != c.want {
			t.Errorf("%d/%d: %s, want %s", c.part, c.whole, got, c.want)
		}
	}
}

func TestAveragesAndLengthsAreRoundedOnce(t *testing.T) {
	for n, want := range map[float64]string{0: "0.0", 1: "1.0", 1.25: "1.3", 0.35: "0.4", 8.75: "8.8", 3.8529: "3.9"} {
		if got := web.Times(n); got != want {
			t.Errorf("%v times: %s, want %s", n, got, want)
		}
	}
	for _, c := range []struct {
		d               time.Duration
		length, seconds string
	}{
		{0, "0:00", "0.0"},
		{61 * time.Second, "1:01", "61.0"},
		{59*time.Second + 960*time.Millisecond, "1:00", "60.0"},
		{30*time.Second + 250*time.Millisecond, "0:30", "30.2"},
		{time.Hour + 5*time.Second, "60:05", "3605.0"},
	} {
		if got := web.Length(c.d); got != c.length {
			t.Errorf("%v: %s, want %s", c.d, got, c.length)
		}
		if got := web.Seconds(c.d); got != c.seconds || got != fmt.Sprintf("%.1f", c.d.Seconds()) {
			t.Errorf("%v: %s s, want %s", c.d, got, c.seconds)
		}
	}
}
