package ingest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// holding makes a folder with files.
func holding(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), []byte("x"))
	}
	return dir
}

func TestFoldersAreSearchedForSoundsAndTexts(t *testing.T) {
	dir := stick(t)
	got := collected(ingester(t), dir, dir, filepath.Join(dir, "a.mp3"), "/no/such/file")
	want := "100%.mp3= a.mp3= lesson.toml= sub/c.mp3= with_space.mp3= words.txt= 二.mp3= a.mp3= " +
		"/no/such/file!ingest.missing in.mp3!ingest.link out.mp3!ingest.link up!ingest.link"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFilesAreTakenInNaturalOrder(t *testing.T) {
	dir := holding(t, "课/10.mp3", "课/2.mp3", "课/第十期.mp3", "课/第九期.mp3", "课 2/1.mp3", "课/１１.mp3")
	want := "课/2.mp3= 课/10.mp3= 课/１１.mp3= 课/第九期.mp3= 课/第十期.mp3= 课_2/1.mp3="
	if got := collected(ingester(t), dir, dir); got != want {
		t.Errorf("of a folder: got  %s\nwant %s", got, want)
	}
	if got := collected(ingester(t), dir, dir+"/课/10.mp3", dir+"/课/2.mp3"); got != "课/2.mp3= 课/10.mp3=" {
		t.Errorf("of arguments: %s", got)
	}
}

func TestAFolderIsTheSeriesOfItsFiles(t *testing.T) {
	dir := holding(t, "健康微课堂/1.mp3", "健康微课堂/2.mp3", "健康微课堂/mp3/3.mp3", "健康微课堂/2026-11/4.mp3", "健康微课堂/高血压/5.mp3", "健康微课堂/2026-11-23/0.mp3",
		"新建文件夹/6.mp3", "7.mp3", "健康微课堂/list.m3u", "外/list.m3u", "外/内/8.mp3", "外/9.mp3")
	write(t, filepath.Join(dir, "外/list.m3u"), []byte("9.mp3\n内/8.mp3\n"))
	for _, c := range []struct {
		name, args, want string
	}{
		{"a folder", "健康微课堂", "1=健康微课堂 2=健康微课堂 4=健康微课堂 2026-11 0=健康微课堂 3=健康微课堂 5=高血压"},
		{"a folder with folders", "", "7= 1=健康微课堂 2=健康微课堂 4=健康微课堂 2026-11 0=健康微课堂 3=健康微课堂 5=高血压 9=外 8=内 6="},
		{"a folder that nobody named", "新建文件夹", "6="},
		{"a file named singly", "健康微课堂/1.mp3", "1="},
		{"several files of a folder, as a shell names them", "健康微课堂/1.mp3 健康微课堂/2.mp3", "1=健康微课堂 2=健康微课堂"},
		{"files of different folders", "健康微课堂/1.mp3 外/9.mp3", "1= 9="},
		{"a list", "外/list.m3u", "9= 8=内"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := strings.Split(c.args, " ")
			for i := range args {
				args[i] = filepath.Join(dir, args[i])
			}
			var got []string
			for _, i := range ingester(t).Collect(args).Items {
				got = append(got, strings.TrimSuffix(filepath.Base(i.Path), ".mp3")+"="+i.Folder)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestWhatIsNoSoundInAFolderIsNamedOrPassedOver(t *testing.T) {
	for _, c := range []struct {
		name  string
		files string
		want  string
		pass  int
	}{
		{"documents", "a.mp3 讲稿.docx 讲稿.DOC 表.xlsx 片.pdf 字.wps", "a.mp3= 字.wps!ingest.writing 片.pdf!ingest.paper 表.xlsx!ingest.paper 讲稿.DOC!ingest.writing 讲稿.docx!ingest.writing", 0},
		{"shortcuts and pages", "a.mp3 b.lnk c.URL d.html e.cue", "a.mp3= b.lnk!ingest.shortcut c.URL!ingest.shortcut d.html!ingest.page e.cue!ingest.cue", 0},
		{"lists that only one player reads", "a.wpl", "a.wpl!ingest.player_list", 0},
		{"encrypted downloads", "a.ncm b.kgma c.qmcflac d.mflac0 e.mgg f.tm0", "a.ncm!ingest.encrypted b.kgma!ingest.encrypted c.qmcflac!ingest.encrypted d.mflac0!ingest.encrypted e.mgg!ingest.encrypted f.tm0!ingest.encrypted", 0},
		{"programs", "a.exe b.apk c.msi", "a.exe!ingest.program b.apk!ingest.program c.msi!ingest.program", 0},
		{"documents that few programs read", "a.pages b.ofd c.key d.numbers e.epub", "a.pages!ingest.paper b.ofd!ingest.paper c.key!ingest.paper d.numbers!ingest.paper e.epub!ingest.paper", 0},
		{"archives", "a.zip b.RAR c.7z", "a.zip!ingest.archive b.RAR!ingest.archive c.7z!ingest.archive", 0},
		{"downloads that are not whole", "a.mp3 b.mp3.part c.mp3.crdownload", "a.mp3= b.mp3.part!ingest.unfinished c.mp3.crdownload!ingest.unfinished", 0},
		{"a document beside its sound", "a.mp3 a.docx b.txt b.docx", "a.mp3= b.txt=", 2},
		{"real companions", "a.mp3 Thumbs.db desktop.ini cover.jpg a.lrc a.cue x.log .DS_Store ~$a.docx", "a.mp3=", 8},
		{"a sidecar is not passed over, a text beside a sound is", "a.mp3 a.toml a.txt", "a.mp3=", 1},
		{"a list that names none of the files", "a.mp3 l.m3u", "a.mp3=", 1},
		{"a sidecar from a Mac", "cafe\u0301.mp3 caf\u00e9.toml", "cafe\u0301.mp3=", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := holding(t, strings.Fields(c.files)...)
			if got := collected(ingester(t), dir, dir); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := ingester(t).Collect([]string{dir}).Passed; got != c.pass {
				t.Errorf("passed over %d, want %d", got, c.pass)
			}
		})
	}
}

func TestOnlyEnglishRepeatsWhatFFmpegSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp3")
	write(t, path, []byte(strings.Repeat("no sound at all ", 1000)))
	_, err := ingester(t).Take(t.Context(), ingest.Item{Path: path}, newShelf(t), nil)
	if got := say.In(say.English, err); !strings.Contains(got, "Invalid data found when processing input") {
		t.Errorf("in English: %s", got)
	}
	if got, want := say.In(say.Chinese, err), "不是能识别的音频或视频（内容不是音频，或已损坏）；"; !strings.HasPrefix(got, want) {
		t.Errorf("in Chinese: %s", got)
	}
}

func TestAListInAFolderGivesTheFilesThereTheirTitles(t *testing.T) {
	dir := holding(t, "01.mp3", "02.mp3", "03.mp3")
	write(t, filepath.Join(dir, "l.m3u"), []byte("#EXTINF:1,第2期 洗手\nD:\\音频\\02.mp3\n#EXTINF:1,第1期 咳嗽\n01.mp3\nnone.mp3\n"))
	if got, want := collected(ingester(t), dir, dir), "01.mp3=第1期_咳嗽 02.mp3=第2期_洗手 03.mp3="; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestArgumentsAndPatternsFindNamesFromAMac(t *testing.T) {
	dir := holding(t, "cafe\u0301/10.mp3", "cafe\u0301/9.mp3", "cafe\u0301/pla\u0302t.mp3")
	for _, arg := range []string{"cafe\u0301/pl\u00e2t.mp3", "caf\u00e9/pl\u00e2t.mp3"} {
		if got := collected(ingester(t), dir, filepath.Join(dir, arg)); got != "cafe\u0301/pla\u0302t.mp3=" {
			t.Errorf("%q: %s", arg, got)
		}
	}
	for _, pattern := range []string{"caf\u00e9/*.mp3", "cafe\u0301/*.mp3"} {
		paths, err := ingest.Glob(filepath.Join(dir, pattern))
		var names []string
		for _, p := range paths {
			names = append(names, filepath.Base(p))
		}
		if want := "[9.mp3 10.mp3 pla\u0302t.mp3]"; err != nil || fmt.Sprint(names) != want {
			t.Errorf("%q: %q, %v", pattern, names, err)
		}
	}
}

func TestIssueSeriesAndTitleAreReadFromWhatPeopleWrite(t *testing.T) {
	dir := t.TempDir()
	g := ingester(t)
	source := read(t, talk(t, t.TempDir()))
	tagged := func(name string, tags ...string) string {
		args := []string{"-b:a", "64k"}
		for _, tag := range tags {
			args = append(args, "-metadata", tag)
		}
		path := ffmpeg(t, talk(t, t.TempDir()), "in.mp3", args...)
		write(t, filepath.Join(dir, name), read(t, path))
		return name
	}
	plain := func(name string) string {
		write(t, filepath.Join(dir, name), source)
		return name
	}
	for _, c := range []struct {
		name string
		item ingest.Item
		toml string
		want string
	}{
		{"the file's name", ingest.Item{Path: plain("第3期 丁课.wav")}, "", "/3/丁课"},
		{"a series in the file's name", ingest.Item{Path: plain("健康微课堂第4期.wav")}, "", "健康微课堂/4/健康微课堂第4期"},
		{"its folder comes before its name", ingest.Item{Path: plain("高血压 第4期 饮食.wav"), Folder: "健康微课堂"}, "", "健康微课堂/4/高血压 饮食"},
		{"a sidecar comes before folder and name", ingest.Item{Path: plain("01 发烧.wav"), Folder: "健康微课堂"}, "series = \"别的\"\nissue = 7\n", "别的/7/发烧"},
		{"the operator comes before all", ingest.Item{Path: plain("02 发烧.wav"), Folder: "健康微课堂", Meta: ingest.Meta{Series: "急救", Issue: 9}}, "issue = 7\n", "急救/9/发烧"},
		{"the operator's title stays as it is", ingest.Item{Path: plain("05.wav"), Meta: ingest.Meta{Title: "第6期 中暑"}}, "", "/6/第6期 中暑"},
		{"a list", ingest.Item{Path: plain("06.wav"), Listed: ingest.Meta{Title: "健康微课堂 第8期 洗手"}}, "", "健康微课堂/8/洗手"},
		{"a title tag", ingest.Item{Path: tagged("07.mp3", "title=第3期 丁课")}, "", "/3/丁课"},
		{"album and track", ingest.Item{Path: tagged("08.mp3", "title=丁课", "album=健康微课堂", "track=5"), Folder: "别的"}, "", "健康微课堂/5/丁课"},
		{"a number that is none", ingest.Item{Path: plain("5分钟学会洗手.wav")}, "", "/0/5分钟学会洗手"},
		{"a name in GBK", ingest.Item{Path: plain("\xb5\xda1\xc6\xda \xb8\xd0\xc3\xb0.wav")}, "", "/1/感冒"},
		{"a name from a Mac", ingest.Item{Path: plain("第3期 cafe\u0301.wav")}, "", "/3/caf\u00e9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.item.Path = filepath.Join(dir, c.item.Path)
			if c.toml != "" {
				write(t, strings.TrimSuffix(c.item.Path, ".wav")+".toml", []byte(c.toml))
			}
			out, err := g.Take(t.Context(), c.item, newShelf(t), nil)
			if got := fmt.Sprintf("%s/%d/%s", out.Clip.Series, out.Clip.Issue, out.Clip.Title); err != nil || got != c.want {
				t.Errorf("got %s, want %s; %v", got, c.want, err)
			}
		})
	}
}

func TestAKnownClipGetsTheSeriesAndIssueThatItLacks(t *testing.T) {
	dir, s, g := t.TempDir(), newShelf(t), ingester(t)
	path := filepath.Join(dir, "课.wav")
	write(t, path, read(t, talk(t, t.TempDir())))
	take := func(item ingest.Item) playlist.Clip {
		t.Helper()
		out, err := g.Take(t.Context(), item, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out.Clip
	}
	take(ingest.Item{Path: path, Meta: ingest.Meta{Title: "第3期 丁课"}})
	c := take(ingest.Item{Path: path, Folder: "健康微课堂"})
	if c.Title != "第3期 丁课" || c.Issue != 3 || c.Series != "健康微课堂" {
		t.Errorf("%+v", c)
	}
	if c = take(ingest.Item{Path: path, Folder: "别的"}); c.Series != "健康微课堂" {
		t.Errorf("the series that it has changes: %+v", c)
	}
}

// A shell names each thing of a folder, also a link that another user has put there.
func TestAnOperatorsOwnLinkToAFolderIsFollowed(t *testing.T) {
	for _, tt := range []struct {
		name string
		uid  int // whose the link is; 0: one's own
		in   bool
		want string
	}{
		{"one's own", 0, false, "gl/1.mp3=gl gl/2.mp3=gl"},
		{"another user's", 4711, false, "gl!ingest.link"},
		{"among files of others", 0, true, "gl!ingest.link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SUDO_UID", "")
			dir, away := t.TempDir(), holding(t, "1.mp3", "2.mp3")
			gl := filepath.Join(dir, "gl")
			if err := os.Symlink(away, gl); err != nil {
				t.Fatal(err)
			}
			if tt.uid != 0 {
				if os.Geteuid() != 0 {
					t.Skip("only root can give files away")
				}
				if err := os.Lchown(gl, tt.uid, tt.uid); err != nil {
					t.Fatal(err)
				}
			}
			g := ingester(t)
			c := g.Collect([]string{gl})
			if tt.in {
				c = g.CollectIn(dir, []string{gl})
			}
			var got []string
			for _, i := range c.Items {
				name, _ := filepath.Rel(dir, i.Path)
				f, err := g.Open(i)
				if err != nil {
					got = append(got, name+"!"+keyOf(err))
					continue
				}
				f.Close()
				got = append(got, name+"="+i.Folder)
			}
			for _, r := range c.Refused {
				name, _ := filepath.Rel(dir, r.Name)
				got = append(got, name+"!"+keyOf(r.Err))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
