package emergency_test

import (
	"testing"

	"dalaba/playlist/emergency"
)

func TestALevelIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string]emergency.Level{
		"1": emergency.Red, "red": emergency.Red, "Red": emergency.Red, "红": emergency.Red, "红色": emergency.Red, " 一级 ": emergency.Red,
		"2": emergency.Orange, "橙色": emergency.Orange, "YELLOW": emergency.Yellow, "黄": emergency.Yellow, "4": emergency.Blue, "蓝色": emergency.Blue,
		"": 0, "0": 0, "5": 0, "purple": 0, "色": 0, "红色色": 0,
	} {
		if got, ok := emergency.ParseLevel(text); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", text, got, ok, want)
		}
	}
}

func TestEachClassThatIsListedIsKnown(t *testing.T) {
	for _, c := range emergency.Classes() {
		if !c.Known() {
			t.Errorf("%s", c)
		}
	}
	if emergency.Class("drill").Known() || emergency.Class("").Known() {
		t.Error("there is no such class")
	}
}

func TestOnlySignsAreNoWords(t *testing.T) {
	for text, want := range map[string]bool{"洪水": true, "110": true, "！！！ 。": false, "🚨🚨": false, "": false, "\n\t": false, "🚨跑": true} {
		if got := emergency.HasWords(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
