package playlist_test

import (
	"slices"
	"testing"

	"dalaba/playlist"
)

func TestAnOutputHearsWhereverItMayBe(t *testing.T) {
	const (
		county  = "320924000000"
		town    = "320924100000"
		village = "320924100201"
		other   = "320924102201"
	)
	for _, c := range []struct {
		name  string
		where playlist.Whereabouts
		airs  playlist.Area
		hears []playlist.Area
		off   bool
	}{
		{"not enrolled", playlist.Whereabouts{"", village, ""}, village, []playlist.Area{village}, false},
		{"all agree", playlist.Whereabouts{village, village, village}, village, []playlist.Area{village}, false},
		{"the county gave a town", playlist.Whereabouts{"", village, town}, village, []playlist.Area{village}, false},
		{"its own area lies in the site's", playlist.Whereabouts{village, town, town}, village, []playlist.Area{village}, false},
		{"its own area lies elsewhere than the site's", playlist.Whereabouts{other, village, county}, other, []playlist.Area{other, village}, false},
		{"the county gave another village", playlist.Whereabouts{"", village, other}, other, []playlist.Area{village, other}, true},
		{"the config names a whole county", playlist.Whereabouts{"", county, village}, village, []playlist.Area{county, village}, true},
		{"three places", playlist.Whereabouts{village, other, "320924101000"}, "320924101000", []playlist.Area{village, other, "320924101000"}, true},
	} {
		if got := c.where.Airs(); got != c.airs {
			t.Errorf("%s: it airs what is for %s, want %s", c.name, got, c.airs)
		}
		if got := c.where.Hears(); !slices.Equal(got, c.hears) {
			t.Errorf("%s: it hears %v, want %v", c.name, got, c.hears)
		}
		if got := c.where.Astray(); got != c.off {
			t.Errorf("%s: astray %v", c.name, got)
		}
	}
}
