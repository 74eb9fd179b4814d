package playlist_test

import (
	"errors"
	"testing"

	"dalaba/playlist"
)

func TestTheCodesOfACountyAreAreas(t *testing.T) {
	rows := vectors(t, "ebd/tables/area-codes*.tsv", true)
	county := playlist.Area("341523000000")
	for _, row := range rows {
		a, err := playlist.ParseArea(row[0])
		if err != nil {
			t.Error(err)
			continue
		}
		if !county.Covers(a) || !a.Covers(county) {
			t.Errorf("%s %s is not of its county", a, row[len(row)-1])
		}
	}
	if len(rows) < 400 {
		t.Errorf("%d codes", len(rows))
	}
}

func TestAreaCodesThatAreNone(t *testing.T) {
	for _, s := range []string{
		"", "341523", "34152310020", "3415231002011", "34152310020a", "３４１５２３１００２０１", "041523100201", "000000000000",
		"340023100201", "341500100201", "341523000201", "+34152310020",
	} {
		if a, err := playlist.ParseArea(s); !errors.Is(err, playlist.ErrInvalid) {
			t.Errorf("%q was taken as %q: %v", s, a, err)
		}
	}
}

func TestCovers(t *testing.T) {
	const village = "341523100201"
	for _, c := range []struct {
		name string
		area playlist.Area
		want bool
	}{
		{"itself", village, true},
		{"its town", "341523100000", true},
		{"its county", "341523000000", true},
		{"its prefecture", "341500000000", true},
		{"its province", "340000000000", true},
		{"the next village", "341523100202", false},
		{"the next town", "341523101000", false},
		{"the next county", "341524000000", false},
		{"another province", "350000000000", false},
	} {
		if got := c.area.Covers(village); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := playlist.Area(village).Covers(c.area); got != c.want {
			t.Errorf("%s, asked the other way: %v", c.name, got)
		}
	}
	// A prefecture whose number ends in 0 is not its province.
	if playlist.Area("341000000000").Covers("341523100201") {
		t.Error("341000000000 covers 341523100201")
	}
}
