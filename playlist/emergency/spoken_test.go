package emergency_test

import (
	"testing"

	"dalaba/playlist/emergency"
)

func TestTheWordsThatAreSpoken(t *testing.T) {
	for _, c := range []struct {
		name string
		text emergency.Text
		want string
	}{
		{"all three", emergency.Text{Title: "洪水", Text: "河水上涨。", Advice: "请撤离。"}, "洪水\n河水上涨。\n请撤离。"},
		{"a headline that is the text", emergency.Text{Title: "河水上涨。", Text: " 河水上涨。"}, "河水上涨。"},
		{"advice alone", emergency.Text{Advice: "请撤离。"}, "请撤离。"},
		{"signs alone", emergency.Text{Title: "！！", Text: "🚨。"}, ""},
		{"blanks", emergency.Text{Title: " ", Text: "\n"}, ""},
	} {
		c.text.Language = "zh-CN"
		a := emergency.Alert{Texts: []emergency.Text{{Language: "en", Text: "Flood."}, c.text}}
		if got := a.Spoken("zh"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := (emergency.Alert{}).Spoken("zh-CN"); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	if got := (emergency.Alert{ID: "x", SenderName: "水利局"}).Headline(); got != "水利局" {
		t.Errorf("headline %q", got)
	}
}
