package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// shelf keeps clips in a folder, as data.Store does.
type shelf struct {
	dir     string
	clips   map[playlist.ClipID]playlist.Clip
	figures map[playlist.ClipID]json.RawMessage
	sources []playlist.ClipSource
	of      []playlist.ClipID
	added   int
	when    map[playlist.ClipID]time.Time
	lineage playlist.Lineage
}

func sum(b []byte) string {
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:])
}

func newShelf(t testing.TB) *shelf {
	return &shelf{dir: t.TempDir(), clips: map[playlist.ClipID]playlist.Clip{}, figures: map[playlist.ClipID]json.RawMessage{},
		when: map[playlist.ClipID]time.Time{}, lineage: playlist.Lineage{}}
}

func (s *shelf) Clip(_ context.Context, id playlist.ClipID) (playlist.Clip, string, error) {
	c, ok := s.clips[id]
	if !ok {
		return c, "", errors.New("not found")
	}
	return c, filepath.Join(s.dir, string(id)), nil
}

func (s *shelf) VerifyClip(_ context.Context, id playlist.ClipID) error {
	if b, err := os.ReadFile(filepath.Join(s.dir, string(id))); err != nil || sum(b) != string(id) {
		return errors.New("lost or damaged")
	}
	return nil
}

func (s *shelf) AddClip(_ context.Context, c playlist.Clip, src io.Reader) error {
	b, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	if sum(b) != string(c.ID) || c.Size != int64(len(b)) {
		return errors.New("not the bytes of the clip")
	}
	s.added++
	if _, ok := s.when[c.ID]; !ok {
		s.when[c.ID] = time.Now()
	}
	s.clips[c.ID] = c
	return os.WriteFile(filepath.Join(s.dir, string(c.ID)), b, 0o600)
}

func (s *shelf) SetFigures(_ context.Context, id playlist.ClipID, f json.RawMessage) error {
	s.figures[id] = f
	return nil
}

func (s *shelf) SourceKnown(_ context.Context, src playlist.ClipSource) (playlist.ClipID, bool, error) {
	for i, k := range s.sources {
		if k.Recipe == src.Recipe && (k.Path == src.Path && k.Size == src.Size && k.MTime.Equal(src.MTime) || src.SHA256 != "" && k.SHA256 == src.SHA256) {
			return s.of[i], true, nil
		}
	}
	return "", false, nil
}

func (s *shelf) NoteSource(_ context.Context, src playlist.ClipSource, id playlist.ClipID) error {
	s.sources, s.of = append(s.sources, src), append(s.of, id)
	return nil
}

func (s *shelf) Shelf(_ context.Context, series string) ([]playlist.Shelved, error) {
	var all []playlist.Shelved
	for id, c := range s.clips {
		if c.Series == series {
			all = append(all, playlist.Shelved{Clip: c, Added: s.when[id]})
		}
	}
	return all, nil
}

func (s *shelf) Lineage(context.Context) (playlist.Lineage, error) { return s.lineage, nil }

func (s *shelf) ReplaceClip(_ context.Context, old, by playlist.ClipID) error {
	s.lineage[old] = by
	return nil
}

func TestAnItemImportedTwiceIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := speech(t, dir)
	g, s := ingester(t), newShelf(t)
	take := func(i ingest.Item) ingest.Outcome {
		t.Helper()
		out, err := g.Take(t.Context(), i, s, nil)
		if err != nil {
			t.Fatal(say.In(say.English, err))
		}
		empty(t, g)
		return out
	}
	first := take(ingest.Item{Path: wav})
	if first.Known || first.Clip.Title != "speech" || s.added != 1 {
		t.Errorf("first: %+v", first)
	}
	var figures ingest.Figures
	if err := json.Unmarshal(s.figures[first.Clip.ID], &figures); err != nil || figures.SNR < 50 || figures.Kbps != 64 || len(figures.Changes) == 0 {
		t.Errorf("figures %s: %v", s.figures[first.Clip.ID], err)
	}

	// From here on nothing may be decoded any more.
	works := g.Decode
	g.Decode = func(io.Reader) (ingest.Samples, error) { return nil, errors.New("work was done") }
	if again := take(ingest.Item{Path: wav}); !again.Known || again.Changed || again.Clip.ID != first.Clip.ID || s.added != 1 {
		t.Errorf("again: %+v", again)
	}
	copied := filepath.Join(dir, "copy.wav")
	write(t, copied, read(t, wav))
	if again := take(ingest.Item{Path: copied}); !again.Known || again.Clip.Title != "speech" || s.added != 1 {
		t.Errorf("a copy under another name: %+v", again)
	}
	if again := take(ingest.Item{Path: wav, Meta: ingest.Meta{Title: "洗手", Issue: 4}}); !again.Changed || s.clips[first.Clip.ID].Title != "洗手" || s.clips[first.Clip.ID].Issue != 4 {
		t.Errorf("under another title: %+v", again)
	}
	if again := take(ingest.Item{Path: wav}); again.Changed || again.Clip.Title != "洗手" {
		t.Errorf("and again without: %+v", again)
	}

	// Unless the clip is damaged: then it is made anew, and keeps its name.
	g.Decode = works
	kept := filepath.Join(s.dir, string(first.Clip.ID))
	bad := read(t, kept)
	bad[len(bad)/2] ^= 0x10
	write(t, kept, bad)
	if again := take(ingest.Item{Path: wav, Meta: ingest.Meta{Series: "健康"}}); again.Known || again.Clip.ID != first.Clip.ID ||
		again.Clip.Title != "洗手" || s.clips[first.Clip.ID].Series != "健康" || sum(read(t, kept)) != string(first.Clip.ID) {
		t.Errorf("a damaged clip: %+v", again)
	}

	// The air clip itself, imported, is used unchanged: it is the same clip.
	air := filepath.Join(dir, "air.mp3")
	write(t, air, read(t, filepath.Join(s.dir, string(first.Clip.ID))))
	res, err := g.File(t.Context(), air, ingest.Meta{}, nil)
	if err != nil || res.Clip.ID != first.Clip.ID || res.Figures.Changes[0].Key != "ingest.unchanged" || !res.Figures.Kept || res.Figures.Correlation != 1 {
		t.Errorf("the air clip: %+v, %v", res, err)
	}
	if err := os.Remove(res.Path); err != nil {
		t.Error(err)
	}
	if again := take(ingest.Item{Path: air}); !again.Known || again.Clip.Title != "洗手" {
		t.Errorf("the air clip, taken: %+v", again)
	}
}

func TestTextFilesAreSpoken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lesson := filepath.Join(dir, "08-windows.toml")
	write(t, lesson, []byte("title = \"开窗通风\"\nseries = \"健康微课堂\"\nissue = 8\ntext = \"每天开窗两次。\"\n"))
	plain := filepath.Join(dir, "通知.txt")
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("今天下午3点开会。")
	if err != nil {
		t.Fatal(err)
	}
	write(t, plain, []byte(gbk))
	g, s := ingester(t), newShelf(t)
	out, err := g.Take(t.Context(), ingest.Item{Path: lesson}, s, nil)
	if err != nil || out.Clip.Title != "开窗通风" || out.Clip.Issue != 8 || out.Clip.Text != "每天开窗两次。" {
		t.Errorf("%+v, %v", out.Clip, err)
	}
	out, err = g.Take(t.Context(), ingest.Item{Path: plain, Meta: ingest.Meta{Series: "通知"}}, s, nil)
	if err != nil || out.Clip.Title != "通知" || out.Clip.Series != "通知" || out.Clip.Text != "今天下午3点开会。" {
		t.Errorf("%+v, %v", out.Clip, err)
	}
	again, err := g.Take(t.Context(), ingest.Item{Path: plain}, s, nil)
	if err != nil || !again.Known || again.Clip.ID != out.Clip.ID {
		t.Errorf("again %+v, %v", again, err)
	}
	g.Speech.Pace = 120
	slower, err := g.Take(t.Context(), ingest.Item{Path: plain}, s, nil)
	if err != nil || slower.Known || slower.Clip.ID == out.Clip.ID {
		t.Errorf("at another pace %+v, %v", slower, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty.txt":   {" \n", "ingest.text_broken"},
		"binary.txt":  {"a\x00b", "ingest.text_broken"},
		"alone.toml":  {"title = \"x\"\n", "ingest.sidecar_alone"},
		"wrong.toml":  {"titel = \"x\"\ntext = \"y\"\n", "ingest.sidecar"},
		"broken.toml": {"title = \n", "ingest.sidecar"},
	} {
		path := filepath.Join(dir, name)
		write(t, path, []byte(c.text))
		if _, err := g.Take(t.Context(), ingest.Item{Path: path}, s, nil); refused(t, err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestNewMetadataOfAKnownClipIsStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g, s := ingester(t), newShelf(t)
	take := func(i ingest.Item) ingest.Outcome {
		t.Helper()
		out, err := g.Take(t.Context(), i, s, nil)
		if err != nil {
			t.Fatal(say.In(say.English, err))
		}
		return out
	}
	lesson := ingest.Item{Path: filepath.Join(dir, "lesson.toml")}
	write(t, lesson.Path, []byte("title = \"开窗\"\nseries = \"微课堂\"\nissue = 8\ntext = \"每天开窗两次。\"\n"))
	first := take(lesson)
	write(t, lesson.Path, []byte("title = \"开窗通风\"\nseries = \"健康微课堂\"\nissue = 9\ntext = \"每天开窗两次。\"\n"))
	if out := take(lesson); out.Clip.ID != first.Clip.ID || !out.Changed || out.Clip.Title != "开窗通风" || out.Clip.Series != "健康微课堂" || out.Clip.Issue != 9 {
		t.Errorf("a lesson that was put right: %+v", out)
	}
	if out := take(lesson); out.Changed {
		t.Errorf("and again: %+v", out)
	}

	// Giving the same metadata twice changes nothing.
	plain := filepath.Join(dir, "notice.txt")
	write(t, plain, []byte("今天下午开会。"))
	write(t, filepath.Join(dir, "notice.toml"), []byte("title = \"甲　乙\"\ntext = \"不是这些话\"\n"))
	wav := speech(t, dir)
	write(t, filepath.Join(dir, "speech.toml"), []byte("title = \"甲　乙\"\ntext = \"说的话\"\n"))
	for path, text := range map[string]string{plain: "今天下午开会。", wav: "说的话"} {
		item := ingest.Item{Path: path, Meta: ingest.Meta{Series: "健康  微课堂\n"}}
		for range 2 {
			out := take(item)
			if out.Changed || out.Clip.Title != "甲 乙" || out.Clip.Series != "健康 微课堂" || out.Clip.Text != text {
				t.Errorf("%s: %+v", filepath.Base(path), out)
			}
		}
	}
}

func TestMetadataComesFromTheNearestSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := word(t, dir)
	tagged := ffmpeg(t, wav, "tagged.mp3", "-metadata", "title=标签题", "-metadata", "album=标签集", "-metadata", "track=7/12")
	vorbis := ffmpeg(t, wav, "v.ogg", "-c:a", "libvorbis", "-metadata", "title=Vorbis 题", "-metadata", "album=集", "-metadata", "tracknumber=2")
	m4a := ffmpeg(t, wav, "m.m4a", "-metadata", "title=M4A 题", "-metadata", "album=集", "-metadata", "track=5")
	latin := ffmpeg(t, wav, "latin.mp3", "-id3v2_version", "0")
	id3v1 := append([]byte("TAG\xbd\xa1\xbf\xb5"), make([]byte, 121)...) // 健康 in GBK
	write(t, latin, read(t, latin), id3v1)
	broken := ffmpeg(t, wav, "broken.mp3", "-metadata", "title=x")
	b := read(t, broken)
	b[14], b[15] = 0x7f, 0x7f
	write(t, broken, b)

	latin1 := func(gbk string) string { // as old tagging programs on Windows marked it
		b := []byte(gbk)
		r := make([]rune, len(b))
		for i, c := range b {
			r[i] = rune(c)
		}
		return string(r)
	}
	marked := ffmpeg(t, wav, "marked.mp3", "-metadata", "title="+latin1("\xc4\xa3\xc4\xe2 \xb8\xd0\xc3\xb0"), "-metadata", "album="+latin1("\xbd\xa1\xbf\xb5"))
	info := filepath.Join(dir, "info.wav")
	b = read(t, ffmpeg(t, wav, "plain.wav", "-metadata", "title=abcdef"))
	write(t, info, bytes.Replace(b, []byte("abcdef"), []byte("\xc4\xa3\xc4\xe2\xb8\xd0"), 1)) // the first four bytes are UTF-8 as well
	bomb := filepath.Join(dir, "bomb.flac")
	b = read(t, ffmpeg(t, wav, "plain.flac", "-metadata", "title=有图"))
	picture := append([]byte{6, 0, 0, 16, 0, 0, 0, 3}, "\xff\xff\xff\xffimage/jpg..."[:12]...) // its media type has 4 GiB, it says
	write(t, bomb, append(append(b[:42:42], picture...), b[42:]...))

	g := ingester(t)
	for _, c := range []struct {
		name, path, sidecar string
		meta, want          ingest.Meta
	}{
		{"GBK marked as Latin-1", marked, "", ingest.Meta{}, ingest.Meta{Title: "模拟 感冒", Series: "健康", Language: "zh-CN"}},
		{"GBK that begins like UTF-8", info, "", ingest.Meta{}, ingest.Meta{Title: "模拟感", Language: "zh-CN"}},
		{"a picture that claims 4 GiB", bomb, "", ingest.Meta{}, ingest.Meta{Title: "有图", Language: "zh-CN"}},
		{"tags", tagged, "", ingest.Meta{}, ingest.Meta{Title: "标签题", Series: "标签集", Issue: 7, Language: "zh-CN"}},
		{"a sidecar comes before tags", tagged, "title = \"旁注\"\nissue = 9\ntags = [\"甲\"]\nlanguage = \"en\"\n", ingest.Meta{}, ingest.Meta{Title: "旁注", Series: "标签集", Issue: 9, Tags: []string{"甲"}, Language: "en"}},
		{"a number above the highest issue is ignored", ffmpeg(t, wav, "far.mp3", "-metadata", "album=集", "-metadata", "track=100000"), "", ingest.Meta{}, ingest.Meta{Title: "far", Series: "集", Language: "zh-CN"}},
		{"the operator comes before all", tagged, "title = \"旁注\"\n", ingest.Meta{Title: "我说", Series: "我的"}, ingest.Meta{Title: "我说", Series: "我的", Issue: 7, Language: "zh-CN"}},
		{"Vorbis comments", vorbis, "", ingest.Meta{}, ingest.Meta{Title: "Vorbis 题", Series: "集", Issue: 2, Language: "zh-CN"}},
		{"MP4 tags", m4a, "", ingest.Meta{}, ingest.Meta{Title: "M4A 题", Series: "集", Issue: 5, Language: "zh-CN"}},
		{"GBK in an old tag", latin, "", ingest.Meta{}, ingest.Meta{Title: "健康", Language: "zh-CN"}},
		{"a broken tag", broken, "", ingest.Meta{}, ingest.Meta{Title: "broken", Language: "zh-CN"}},
		{"the file's name", wav, "", ingest.Meta{}, ingest.Meta{Title: "speech", Language: "zh-CN"}},
	} {
		side := strings.TrimSuffix(c.path, filepath.Ext(c.path)) + ".toml"
		if c.sidecar != "" {
			write(t, side, []byte(c.sidecar))
		}
		res, err := g.File(t.Context(), c.path, c.meta, nil)
		_ = os.Remove(side)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ingest.Meta{Title: res.Clip.Title, Series: res.Clip.Series, Issue: res.Clip.Issue, Language: res.Clip.Language, Tags: res.Clip.Tags}
		if got.Title != c.want.Title || got.Series != c.want.Series || got.Issue != c.want.Issue || got.Language != c.want.Language || !slices.Equal(got.Tags, c.want.Tags) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ text, zh, en string }{
		{"titel = \"x\"", "第 1 行：不认识 titel；只能写 title、series、issue、language、tags、text", "line 1: there is no titel; it may hold title, series, issue, language, tags and text"},
		{"title = \"x\"\n[clip]\nissue = 3\n", "第 2 行：不认识 clip；", "line 2: there is no clip; "},
		{"title = 洗手\n", "第 1 行：等号后面的值看不懂；请写成 title = \"洗手\"", "line 1: the value after = cannot be read; write title = \"洗手\""},
		{"# 说明\ntitle = “洗手”\n", "第 2 行：引号之外出现了全角字符 “；", "line 2: the full-width character “ stands outside quotes; "},
		{"title", "第 1 行：键的后面缺少等号；", "line 1: there is no = after the key; "},
		{"title = \"甲\"\ntitle = \"乙\"\n", "第 2 行：", "line 2: "},
		{"\ntitle = 3\n", "第 2 行：title 应当是文字；请加英文双引号", "line 2: title must be text; put it in double quotes"},
		{"issue = \"3\"", "第 1 行：issue 应当是数字；请写 1 到 99999 的整数，不加引号", "line 1: issue must be a number; write a whole number from 1 to 99999, without quotes"},
		{"tags = \"老人\"", "第 1 行：tags 应当是一列文字；请写成 tags = [\"防疫\", \"老人\"] 的样子", "line 1: tags must be a list of texts; write it like tags = [\"fever\", \"elderly\"]"},
		{"title = \"x\"\nissue = -1\n", "第 2 行：期号不能是 -1；请写 1 到 99999 的整数", "line 2: an issue cannot be -1; write a whole number from 1 to 99999"},
		{"issue = 0", "第 1 行：期号不能是 0；", "line 1: an issue cannot be 0; "},
		{"issue = 100000", "第 1 行：期号不能是 100000；", "line 1: an issue cannot be 100000; "},
	} {
		write(t, filepath.Join(dir, "speech.toml"), []byte(c.text))
		_, err := g.File(t.Context(), wav, ingest.Meta{}, nil)
		if refused(t, err) != "ingest.sidecar" {
			t.Errorf("%s: %v", c.text, err)
		}
		if got, want := say.In(say.Chinese, err), "说明文件 speech.toml "+c.zh; !strings.HasPrefix(got, want) {
			t.Errorf("%q reads %q, want %q", c.text, got, want)
		}
		if got, want := say.In(say.English, err), "speech.toml, "+c.en; !strings.HasPrefix(got, want) {
			t.Errorf("%q reads %q, want %q", c.text, got, want)
		}
	}
	// A text to be spoken is named by its own name.
	lesson := filepath.Join(dir, "lesson.toml")
	write(t, lesson, []byte("title = \"x\"\ntext = 乡亲们\n"))
	if _, err := g.Take(t.Context(), ingest.Item{Path: lesson}, newShelf(t), nil); !strings.HasPrefix(say.In(say.Chinese, err), "说明文件 lesson.toml 第 2 行：") {
		t.Errorf("reads %q", say.In(say.Chinese, err))
	}
	write(t, filepath.Join(dir, "speech.toml"), []byte("issue = 99999"))
	if res, err := g.File(t.Context(), wav, ingest.Meta{}, nil); err != nil || res.Clip.Issue != ingest.MaxIssue {
		t.Errorf("issue %d, %v", res.Clip.Issue, err)
	}
}

func TestWithoutFFmpegOnlyAirClipsAreAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := speech(t, dir)
	g := ingester(t)
	res, err := g.File(t.Context(), wav, ingest.Meta{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	air := filepath.Join(dir, "it's air.mp3")
	write(t, air, read(t, res.Path))
	quiet := ffmpeg(t, wav, "quiet.mp3", "-ac", "1", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0", "-af", "volume=-20dB")
	mute := ffmpeg(t, wav, "mute.mp3", "-ac", "1", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0", "-af", "volume=0")
	fmp3 := ffmpeg(t, wav, "it's.mp3")

	bare := ingester(t)
	bare.FFmpeg, bare.FFprobe = filepath.Join(dir, "none"), filepath.Join(dir, "none")
	if err := bare.Ready(); !errors.Is(err, ingest.ErrNoProgram) || !strings.Contains(say.In(say.Chinese, err), "apt install ffmpeg") {
		t.Errorf("Ready: %v", err)
	}
	if got, err := bare.File(t.Context(), air, ingest.Meta{}, nil); err != nil || got.Clip.ID != res.Clip.ID || got.Clip.Frames != res.Clip.Frames || !got.Figures.Unproven {
		t.Errorf("an air clip: %+v, %v", got, err)
	} else if !bytes.Equal(read(t, got.Path), read(t, air)) {
		t.Error("it was changed")
	}
	if got, err := bare.File(t.Context(), quiet, ingest.Meta{}, nil); err != nil || len(got.Figures.Changes) != 2 {
		t.Errorf("one that is not levelled: %+v, %v", got, err)
	}
	bare.TempDir = t.TempDir()
	if _, err := bare.File(t.Context(), mute, ingest.Meta{}, nil); refused(t, err) != "ingest.silent" {
		t.Error(err)
	}
	for _, path := range []string{wav, fmp3} {
		_, err := bare.File(t.Context(), path, ingest.Meta{}, nil)
		if refused(t, err) != "ingest.convert" || !errors.Is(err, ingest.ErrNoProgram) {
			t.Fatal(err)
		}
		// The command that the message gives must work, and make a file that is
		// accepted.
		text := say.In(say.Chinese, err)
		_, command, _ := strings.Cut(text, "转换：")
		run(t, "sh", "-c", strings.Replace(command, "ffmpeg ", "ffmpeg -v error -y ", 1))
		made := strings.TrimSuffix(path, ".mp3") + ".air.mp3"
		if _, err := bare.File(t.Context(), made, ingest.Meta{}, nil); err != nil {
			t.Errorf("%s\nmakes %v", command, err)
		}
	}
	if _, err := bare.Text(t.Context(), "你好。", ingest.Meta{}, nil); !errors.Is(err, ingest.ErrNoProgram) {
		t.Error(err)
	}
}

func TestALessonHandedInAnewReplacesTheOldOne(t *testing.T) {
	t.Parallel()
	g, s, dir := ingester(t), newShelf(t), t.TempDir()
	take := func(name, text string, since time.Time) ingest.Outcome {
		t.Helper()
		path := filepath.Join(dir, name)
		title := strings.TrimSuffix(name, ".toml")
		write(t, path, []byte("title = \""+title+"\"\nseries = \"健康微课堂\"\nissue = 3\ntext = \""+text+"\"\n"))
		out, err := g.Take(t.Context(), ingest.Item{Path: path, Since: since}, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := take("洗手.toml", "饭前洗手。", time.Time{})
	if len(first.Replaced)+len(first.Beside) > 0 || first.By != nil {
		t.Errorf("the first of its number: %+v", first)
	}
	second := take("怎样洗手.toml", "饭前饭后都要洗手。", time.Now())
	if len(second.Replaced) != 1 || second.Replaced[0].ID != first.Clip.ID || s.lineage[first.Clip.ID] != second.Clip.ID {
		t.Errorf("handed in later: %+v", second)
	}
	// In one handing-in, the same number is a mistake: both lessons air.
	began := s.when[second.Clip.ID]
	third := take("洗手七步.toml", "一共七步。", began)
	if len(third.Replaced) > 0 || len(third.Beside) != 1 || third.Beside[0].ID != second.Clip.ID {
		t.Errorf("handed in together: %+v", third)
	}
	// Another lesson that bears the number is a mistake, too.
	other := take("刷牙.toml", "睡前刷牙。", time.Time{})
	if len(other.Replaced) > 0 || len(other.Beside) != 2 {
		t.Errorf("another lesson of the same number: %+v", other)
	}
	// Of two that are alike one may be another part: the new one replaces its twin only.
	twin := take("刷牙.toml", "早晚都要刷牙。", time.Time{})
	if len(twin.Replaced) != 1 || twin.Replaced[0].ID != other.Clip.ID {
		t.Errorf("a twin: %+v", twin)
	}
	unclear := take("洗手法.toml", "七步都要做。", time.Time{})
	if len(unclear.Replaced) > 0 || len(unclear.Beside) != 3 {
		t.Errorf("like two others: %+v", unclear)
	}
	again := take("洗手.toml", "饭前洗手。", time.Time{})
	if !again.Known || again.By == nil || again.By.ID != second.Clip.ID || s.lineage[second.Clip.ID] != "" {
		t.Errorf("the old one, imported again: %+v", again)
	}
}
