package main

import (
	"strings"
	"testing"
)

func TestEveryFigureOfASmallCountyIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("a county with 50 controllers")
	}
	t.Parallel() // it mostly waits
	figures, out := measure[Figure](t, "-only", "county", "-controllers", "50")
	said := map[string]Figure{}
	for _, f := range figures {
		said[f.Name] = f
		if !strings.Contains(out, f.Name) {
			t.Errorf("no line for people names %q", f.Name)
		}
		switch lost := strings.HasPrefix(f.Name, "county: receipts lost"); {
		case lost && f.Value != 0:
			t.Errorf("%v receipts of %d", f.Value, f.Samples)
		case !lost && f.Value <= 0:
			t.Errorf("%s: %v %s", f.Name, f.Value, f.Unit)
		case f.Peer != noPeer && f.PeerValue <= 0:
			t.Errorf("%s: the peer has %v", f.Name, f.PeerValue)
		}
	}
	for name, samples := range map[string]int{
		"county: 50 controllers enrolled":                50,
		"county: kill -9 of it, all of 50 current":       50,
		"county: push to 50, API call to kept, p99":      50,
		"county: alert to 50, API call to accepted, p99": 50,
		"county: alert to 10, API call to accepted, p99": 10,
		"county: receipts stored and added up":           50 * receiptsOf,
		"county: receipts lost or counted twice":         50 * receiptsOf,
		"county: peak memory, 50 controllers":            1,
		"county: 100 clip downloads at once":             300,
	} {
		if f, ok := said[name]; !ok || f.Samples != samples {
			t.Errorf("%q: %+v", name, f)
		}
	}
}
