package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/data/shared"
	"dalaba/ingest"
	"dalaba/playlist/say"
)

// tree returns every file under dir, sorted, relative.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, relErr := filepath.Rel(dir, path)
			out, err = append(out, rel), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// watch runs an inbox in a bubble, with a Take that decides by the content of
// the files.
func watch(t *testing.T, dir string, during func(taken func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		g := &ingest.Ingester{}
		var mu sync.Mutex
		var taken []string
		failed := false
		b := &ingest.Inbox{
			Dir: dir, Collect: g.CollectIn, Language: say.Chinese, Log: slog.New(slog.DiscardHandler),
			Take: func(_ context.Context, i ingest.Item) (ingest.Outcome, error) {
				text, err := os.ReadFile(i.Path)
				switch {
				case errors.Is(err, os.ErrNotExist):
					_, err := g.Take(t.Context(), i, nil, nil)
					return ingest.Outcome{}, err
				case err != nil:
					return ingest.Outcome{}, err
				case strings.HasPrefix(string(text), "bad"), strings.Contains(i.Path, "link"):
					_, err := g.Take(t.Context(), ingest.Item{Path: "/no/such/file"}, nil, nil)
					return ingest.Outcome{}, err
				case strings.HasPrefix(string(text), "later") && !failed:
					failed = true
					return ingest.Outcome{}, errors.New("disk full")
				}
				mu.Lock()
				defer mu.Unlock()
				taken = append(taken, filepath.Base(i.Path)+i.Listed.Title)
				return ingest.Outcome{}, nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		during(func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(taken)
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pause lets the bubble's time pass and waits until all that happens in it is
// done.
func pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte(text))
	// The bubble's clock is not that of the disk.
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestTheInboxMovesFilesToTakenOrRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inbox")
	watch(t, dir, func(taken func() []string) {
		pause(time.Second)
		put(t, dir, "a.mp3", "good")
		put(t, dir, "a.toml", "title = \"x\"")
		put(t, dir, "sub/b.wav", "bad")
		put(t, dir, "half.mp3.part", "good")
		put(t, dir, ".hidden.mp3", "good")
		put(t, dir, "cover.jpg", "good")
		put(t, dir, "later.mp3", "later")
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.mp3")); err != nil {
			t.Fatal(err)
		}
		pause(3 * time.Second)
		if len(taken()) > 0 {
			t.Errorf("taken before they came to rest: %v", taken())
		}
		pause(5 * time.Second)
		if !slices.Equal(taken(), []string{"a.mp3"}) {
			t.Errorf("taken %v", taken())
		}
		// The same name again, while a file of that name is in taken/.
		put(t, dir, "a.mp3", "good too")
		pause(2 * time.Minute)
		if !slices.Equal(taken(), []string{"a.mp3", "a.mp3", "later.mp3"}) {
			t.Errorf("taken %v", taken())
		}
	})
	want := []string{".hidden.mp3", "cover.jpg", "half.mp3.part", "refused/link.mp3", "refused/link.mp3.txt", "refused/sub/b.wav", "refused/sub/b.wav.txt",
		"taken/a (2).mp3", "taken/a.mp3", "taken/a.toml", "taken/later.mp3"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	why := string(read(t, filepath.Join(dir, "refused/sub/b.wav.txt")))
	if !strings.Contains(why, "b.wav") || !strings.Contains(why, "找不到这个文件") {
		t.Errorf("says %q", why)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub")); err != nil {
		t.Errorf("the operator's folder is gone: %v", err)
	}
}

func TestDocumentsInTheInboxAreRefusedWithTheRemedy(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		put(t, dir, "通知.docx", "x")
		put(t, dir, "sub/a.zip", "x")
		put(t, dir, "第3期.mp3", "good")
		put(t, dir, "第3期.DOCX", "the script of it")
		put(t, dir, "第3期.txt", "its words")
		put(t, dir, "第4期.mp3.crdownload", "half")
		put(t, dir, "cover.jpg", "x")
		pause(20 * time.Second)
		if want := []string{"第3期.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
		if err := os.Rename(filepath.Join(dir, "第4期.mp3.crdownload"), filepath.Join(dir, "第4期.mp3")); err != nil {
			t.Fatal(err)
		}
		pause(20 * time.Second)
		if want := []string{"第3期.mp3", "第4期.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("when the download is whole: taken %v, want %v", taken(), want)
		}
	})
	want := []string{"cover.jpg", "refused/sub/a.zip", "refused/sub/a.zip.txt", "refused/通知.docx", "refused/通知.docx.txt", "taken/第3期.DOCX", "taken/第3期.mp3", "taken/第3期.txt", "taken/第4期.mp3"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if why := string(read(t, filepath.Join(dir, "refused/通知.docx.txt"))); !strings.Contains(why, "另存为纯文本（.txt）") {
		t.Errorf("says %q", why)
	}
}

func TestWhatLiesBesideASoundInTheInboxGoesWithIt(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		for _, name := range []string{"第3期.mp3", "第3期.jpg", "第3期.cue", "第3期.lrc", "第3期.html", "cover.jpg", "Thumbs.db", "desktop.ini", "录音 - 快捷方式.lnk", "通知.html", "盘.cue"} {
			put(t, dir, name, "good")
		}
		pause(20 * time.Second)
		if want := []string{"第3期.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
	})
	want := []string{"Thumbs.db", "cover.jpg", "desktop.ini", "refused/录音 - 快捷方式.lnk", "refused/录音 - 快捷方式.lnk.txt", "refused/盘.cue", "refused/盘.cue.txt",
		"refused/通知.html", "refused/通知.html.txt", "taken/第3期.cue", "taken/第3期.html", "taken/第3期.jpg", "taken/第3期.lrc", "taken/第3期.mp3"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if why := string(read(t, filepath.Join(dir, "refused/录音 - 快捷方式.lnk.txt"))); !strings.Contains(why, "这是快捷方式（.lnk），不是录音") {
		t.Errorf("says %q", why)
	}
}

func TestNamesInGBKAreReadableInTheInbox(t *testing.T) {
	const gbk = "\xb5\xda1\xc6\xda" // 第1期
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		put(t, dir, gbk+".docx", "x")
		put(t, dir, gbk+".mp3", "bad")
		pause(20 * time.Second)
	})
	if why := string(read(t, filepath.Join(dir, "refused", gbk+".mp3.txt"))); !strings.HasPrefix(why, "\ufeff第1期.mp3\n") {
		t.Errorf("says %q", why)
	}
}

func TestTheInboxTakesFilesInNaturalOrder(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		pause(time.Second) // all come between two looks
		for _, name := range []string{"第十期.mp3", "10.mp3", "第九期.mp3", "9.mp3"} {
			put(t, dir, name, "good")
		}
		pause(20 * time.Second)
		if want := []string{"9.mp3", "10.mp3", "第九期.mp3", "第十期.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
	})
}

func TestASubfolderOfTheInboxIsASeries(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "收集箱")
	receive(t, dir, func(s *shelf, touch func(string)) {
		sound := read(t, talk(t, t.TempDir()))
		put := func(name string) {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, sound)
			touch(name)
			pause(10 * time.Second)
			if _, err := os.Stat(filepath.Join(dir, "taken", name)); err != nil {
				t.Error(err)
			}
		}
		for _, c := range []struct{ file, series, title string }{
			{"洗手.wav", "", "洗手"}, // the inbox itself is no series
			{"新建文件夹/洗手.wav", "", "洗手"},
			{"健康微课堂/洗手.wav", "健康微课堂", "洗手"},
		} {
			put(c.file)
			for _, clip := range s.clips {
				if clip.Series != c.series || clip.Title != c.title {
					t.Errorf("%s: %+v", c.file, clip)
				}
			}
		}
	})
}

func TestAFileThatStillGrowsIsNotImported(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		for n := range 20 {
			put(t, dir, "long.mp3", strings.Repeat("x", n))
			pause(2 * time.Second)
		}
		if len(taken()) > 0 {
			t.Errorf("taken while it grew: %v", taken())
		}
		pause(10 * time.Second)
		if len(taken()) != 1 {
			t.Errorf("taken %v", taken())
		}
	})
}

func TestAStoreIsNeverUsedAsAnInbox(t *testing.T) {
	for _, c := range []struct{ name, inbox string }{
		{"the store itself", "data"},
		{"a folder of the store", "data/clips"},
		{"a link into the store", "link"},
		{"a folder around the store", "."},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			for _, f := range []string{"data/dalaba.db", "data/dalaba.lock", "data/clips/one.mp3"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(top, f)), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(top, f), []byte("x"))
			}
			if err := os.Symlink("data/clips", filepath.Join(top, "link")); err != nil {
				t.Fatal(err)
			}
			before := tree(t, top)
			watch(t, filepath.Join(top, c.inbox), func(taken func() []string) {
				pause(2 * time.Minute)
				if len(taken()) > 0 {
					t.Errorf("taken %v", taken())
				}
			})
			if got := tree(t, top); !slices.Equal(got, before) {
				t.Errorf("left %q of %q", got, before)
			}
		})
	}
}

func TestAListInTheInboxGivesItsFilesTheirTitles(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		put(t, dir, "l.m3u8", "#EXTM3U\n#EXTINF:1, 二\nb.mp3\n#EXTINF:1, 一\na.mp3\n/etc/passwd\n")
		put(t, dir, "a.mp3", "good")
		put(t, dir, "b.mp3", "good")
		put(t, dir, "c.mp3", "good")
		pause(20 * time.Second)
		if want := []string{"b.mp3二", "a.mp3一", "c.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
	})
	want := []string{"refused/l.m3u8", "refused/l.m3u8.txt", "taken/a.mp3", "taken/b.mp3", "taken/c.mp3"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if why := string(read(t, filepath.Join(dir, "refused/l.m3u8.txt"))); !strings.Contains(why, "/etc/passwd: 列表里的这一项指向列表文件夹之外") {
		t.Errorf("says %q", why)
	}
}

func TestAListMayNameAFileTwice(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		put(t, dir, "l.m3u8", "#EXTM3U\n#EXTINF:1, 一\na.mp3\nb.mp3\n#EXTINF:1, 二\na.mp3\n")
		put(t, dir, "a.mp3", "good")
		put(t, dir, "b.mp3", "good")
		pause(20 * time.Second)
		if want := []string{"a.mp3一", "b.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
	})
	if got, want := tree(t, dir), []string{"taken/a.mp3", "taken/b.mp3", "taken/l.m3u8"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAListThatFailsMidwayIsImportedAsAWholeLater(t *testing.T) {
	dir := t.TempDir()
	watch(t, dir, func(taken func() []string) {
		put(t, dir, "l.m3u8", "#EXTM3U\n#EXTINF:1, 一\na.mp3\n#EXTINF:1, 二\nb.mp3\n#EXTINF:1, 三\nbad.mp3\n#EXTINF:1, 四\nd.mp3\n")
		put(t, dir, "a.mp3", "good")
		put(t, dir, "b.mp3", "later")
		put(t, dir, "bad.mp3", "bad")
		put(t, dir, "c.mp3", "good")
		put(t, dir, "d.mp3", "good")
		pause(30 * time.Second)
		if want := []string{"a.mp3一", "c.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("before the list is tried again: taken %v, want %v", taken(), want)
		}
		pause(time.Minute)
		if want := []string{"a.mp3一", "c.mp3", "a.mp3一", "b.mp3二", "d.mp3四"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
	})
	want := []string{"refused/bad.mp3", "refused/bad.mp3.txt", "refused/l.m3u8", "refused/l.m3u8.txt", "taken/a.mp3", "taken/b.mp3", "taken/c.mp3", "taken/d.mp3"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAnInboxThatCannotBeMadeYetIsMadeLater(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "share", "inbox")
	write(t, filepath.Join(top, "share"), []byte("not mounted yet"))
	watch(t, dir, func(taken func() []string) {
		pause(time.Minute)
		if err := os.Remove(filepath.Join(top, "share")); err != nil {
			t.Fatal(err)
		}
		pause(3 * time.Second)
		put(t, dir, "a.mp3", "good")
		pause(10 * time.Second)
		if want := []string{"a.mp3"}; !slices.Equal(taken(), want) {
			t.Errorf("taken %v, want %v", taken(), want)
		}
		// After a stick is pulled out, its folder is not made again below the
		// mount point.
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		pause(10 * time.Second)
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("made anew: %v", err)
		}
	})
}

// receive runs an inbox in a bubble, with a real maker, and calls during with a
// clock that sets a file's time to that of the bubble.
func receive(t *testing.T, dir string, during func(s *shelf, touch func(name string))) (logged string) {
	var log strings.Builder
	synctest.Test(t, func(t *testing.T) {
		g, s := ingester(t), newShelf(t)
		b := &ingest.Inbox{
			Dir: dir, Collect: g.CollectIn, Language: say.Chinese, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Take: func(ctx context.Context, i ingest.Item) (ingest.Outcome, error) { return g.Take(ctx, i, s, nil) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		during(s, func(name string) {
			if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Now()); err != nil {
				t.Fatal(err)
			}
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return log.String()
}

func TestTheInboxWaitsForAWriterThatStalls(t *testing.T) {
	dir := t.TempDir()
	mp3 := read(t, ffmpeg(t, talk(t, t.TempDir()), "in.mp3", "-b:a", "64k"))
	logged := receive(t, dir, func(s *shelf, touch func(string)) {
		f, err := os.Create(filepath.Join(dir, "slow.mp3"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(mp3[:len(mp3)/2]); err != nil {
			t.Fatal(err)
		}
		touch("slow.mp3")
		pause(time.Hour)
		if got := tree(t, dir); !slices.Equal(got, []string{"slow.mp3"}) || s.added > 0 {
			t.Errorf("while it is open: %v, %d clips", got, s.added)
		}
		if _, err := f.Write(mp3[len(mp3)/2:]); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		touch("slow.mp3")
		pause(10 * time.Second)
		if got := tree(t, dir); !slices.Equal(got, []string{"taken/slow.mp3"}) || s.added != 1 {
			t.Errorf("when it is closed: %v, %d clips", got, s.added)
		}
		for _, c := range s.clips {
			if d := c.Length().Seconds(); d < 5.5 {
				t.Errorf("the clip is %.1f s long", d)
			}
		}
	})
	if n := strings.Count(logged, "inbox file is still being written"); n != 1 {
		t.Errorf("said %d times that it waits:\n%s", n, logged)
	}
}

// A writer on another machine is not seen.
func TestTheInboxWaitsLongerForAFileThatIsNotWhole(t *testing.T) {
	dir := t.TempDir()
	made := t.TempDir()
	mp3 := read(t, ffmpeg(t, talk(t, made), "in.mp3", "-b:a", "64k"))
	bare := read(t, ffmpeg(t, filepath.Join(made, "talk.wav"), "bare.mp3", "-b:a", "64k", "-write_xing", "0"))
	m4a := read(t, ffmpeg(t, filepath.Join(made, "talk.wav"), "in.m4a"))
	receive(t, dir, func(s *shelf, touch func(string)) {
		put := func(name string, content []byte) {
			write(t, filepath.Join(dir, name), content)
			touch(name)
		}
		put("a.mp3", mp3[:len(mp3)/2])
		put("b.mp3", bare[:len(bare)/2])
		put("c.m4a", m4a[:len(m4a)/2])
		put("d.mp3", nil)
		pause(9 * time.Minute)
		if got, want := tree(t, dir), []string{"a.mp3", "b.mp3", "c.m4a", "d.mp3"}; !slices.Equal(got, want) {
			t.Errorf("after 9 minutes: %v", got)
		}
		put("a.mp3", mp3) // the rest came
		pause(10 * time.Second)
		if got, want := tree(t, dir), []string{"b.mp3", "c.m4a", "d.mp3", "taken/a.mp3"}; !slices.Equal(got, want) {
			t.Errorf("when one is whole: %v", got)
		}
		pause(2 * time.Minute) // nothing more came
		want := []string{"refused/c.m4a", "refused/c.m4a.txt", "refused/d.mp3", "refused/d.mp3.txt", "taken/a.mp3", "taken/b.mp3", "taken/b.mp3.txt"}
		if got := tree(t, dir); !slices.Equal(got, want) {
			t.Errorf("at last: %v", got)
		}
		if note := string(read(t, filepath.Join(dir, "taken/b.mp3.txt"))); !strings.Contains(note, "断在半帧上") {
			t.Errorf("the note says %q", note)
		}

		// A writer that goes on, after the file was moved away.
		write(t, filepath.Join(dir, "refused/c.m4a"), m4a)
		if err := os.Chtimes(filepath.Join(dir, "refused/c.m4a"), time.Time{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		pause(20 * time.Second)
		want = []string{"refused/d.mp3", "refused/d.mp3.txt", "taken/a.mp3", "taken/b.mp3", "taken/b.mp3.txt", "taken/c.m4a"}
		if got := tree(t, dir); !slices.Equal(got, want) || s.added != 3 {
			t.Errorf("when the refused one is whole: %v, %d clips", got, s.added)
		}
	})
}

func TestTheInboxTakesADamagedFileThatItsSidecarTellsItTo(t *testing.T) {
	dir := t.TempDir()
	mp3 := read(t, ffmpeg(t, talk(t, t.TempDir()), "in.mp3", "-b:a", "64k"))
	receive(t, dir, func(s *shelf, touch func(string)) {
		write(t, filepath.Join(dir, "a.mp3"), mp3[:len(mp3)/2])
		touch("a.mp3")
		pause(11 * time.Minute)
		if got, want := tree(t, dir), []string{"refused/a.mp3", "refused/a.mp3.txt"}; !slices.Equal(got, want) {
			t.Fatalf("refused: %v", got)
		}
		if note := string(read(t, filepath.Join(dir, "refused/a.mp3.txt"))); !strings.Contains(note, "从 0:03.0 起缺 3.0 秒") || !strings.Contains(note, "as_is = true") {
			t.Errorf("the note says %q", note)
		}
		write(t, filepath.Join(dir, "a.toml"), []byte("as_is = true\n"))
		if err := os.Rename(filepath.Join(dir, "refused/a.mp3"), filepath.Join(dir, "a.mp3")); err != nil {
			t.Fatal(err)
		}
		touch("a.mp3")
		pause(10 * time.Second)
		want := []string{"refused/a.mp3.txt", "taken/a.mp3", "taken/a.mp3.txt", "taken/a.toml"}
		if got := tree(t, dir); !slices.Equal(got, want) || s.added != 1 {
			t.Errorf("as it is: %v, %d clips", got, s.added)
		}
	})
}

func TestAFileThatIsOpenToBeWrittenIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp3")
	write(t, path, []byte("x"))
	folder, err := shared.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	is := func(want bool, when string) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := ingest.BeingWritten(folder, filepath.Base(path)); got != want {
			t.Errorf("%s: %v", when, got)
		}
		if got := ingest.OpenToWrite(info); got != want {
			t.Errorf("%s, by /proc: %v", when, got)
		}
	}
	is(false, "closed")
	for _, flags := range []int{os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND} {
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		is(true, "open to be written")
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	is(false, "open to be read")
}
