package main

import (
	"testing"

	"dalaba/tools/attack"
)

func TestEveryAttackIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("attacks a county")
	}
	t.Parallel() // it mostly waits
	figures, _ := measure[Figure](t, "-only", "attack")
	if want := 6*len(attack.Kinds) + 1; len(figures) != want {
		t.Errorf("%d figures, %d wanted", len(figures), want)
	}
	for _, f := range figures {
		if f.Value <= 0 || f.PeerValue <= 0 || f.Samples < 1 {
			t.Errorf("%+v", f)
		}
	}
}
