package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"dalaba/controller/wording"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

func TestAnEventOfAControllerIsToldAsTheControllerTellsIt(t *testing.T) {
	id := playlist.ClipID(strings.Repeat("ab", 32))
	rows := []county.LogLine{{Row: &asrun.Row{Clip: id, Title: "体温怎么量", Issue: 3}}}
	words := wording.Log{Lang: say.Chinese, Zone: time.UTC, Clip: titles(rows)}
	for _, c := range []struct{ name, attrs, want string }{
		{"a clip of a row", `{"output":"村口","clip":"` + string(id) + `","err":"no such device"}`, "村口：播出结束（第3期 体温怎么量）：设备不存在"},
		{"an error in both languages", `{"err":"it is gone","err.zh":"没有了"}`, "播出结束：没有了"},
		{"attributes that cannot be read", `[`, "播出结束"},
		{"none", "", "播出结束"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := store.Event{Message: "clip ended", Attrs: json.RawMessage(c.attrs)}
			if got := eventText(words, e); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
