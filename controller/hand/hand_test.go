package hand

import (
	"math"
	"testing"
)

func TestOrdersByHandAreBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Order
		ok   bool
	}{
		{"a tone", Order{HZ: 1000, Seconds: 5, LevelDB: -20}, true},
		{"too low to hear", Order{HZ: 1, Seconds: 5}, false},
		{"no frequency", Order{HZ: math.NaN(), Seconds: 5}, false},
		{"for ever", Order{HZ: 1000, Seconds: 1e9}, false},
		{"for no time", Order{HZ: 1000}, false},
		{"above full scale", Order{HZ: 1000, Seconds: 1, LevelDB: 6}, false},
		{"a clip", Order{Clip: "ab"}, true},
		{"a clip and a file", Order{Clip: "ab", File: "/x"}, false},
	} {
		if err := c.o.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
