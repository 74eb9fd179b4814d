package emergency_test

import (
	"slices"
	"testing"

	"dalaba/playlist/emergency"
)

func TestTheBlanksOfATextAreFilledIn(t *testing.T) {
	text := "请{地点}的居民于{时间}前撤离，{时间}后封路。"
	if got := emergency.Blanks("{时间}", text); !slices.Equal(got, []string{"时间", "地点"}) {
		t.Errorf("blanks %q", got)
	}
	for _, c := range []struct {
		name string
		set  map[string]string
		want string
	}{
		{"all", map[string]string{"地点": "大坝村", "时间": "18:00"}, "请大坝村的居民于18:00前撤离，18:00后封路。"},
		{"one is left", map[string]string{"地点": "大坝村"}, "请大坝村的居民于{时间}前撤离，{时间}后封路。"},
		{"a value that looks like a blank", map[string]string{"地点": "{时间}", "时间": "18:00"}, "请{时间}的居民于18:00前撤离，18:00后封路。"},
	} {
		if got := emergency.Filled(text, c.set); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := emergency.Blanks("没有空{}", "a{\n}b"); got != nil {
		t.Errorf("blanks where there are none: %q", got)
	}
}
