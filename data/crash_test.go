package data_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// childDir, if set, makes the test binary a daemon that is going to be killed,
// or one whose files cannot grow, or another user who attacks.
const (
	childDir  = "DALABA_TEST_DIR"
	childTask = "DALABA_TEST_TASK"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	var err error
	switch os.Getenv(childTask) {
	case "air":
		err = airForever(dir)
	case "full":
		err = fillUp(dir)
	case "attack":
		err = attack(dir, unix.F_SETLK)
	case "attack by file":
		err = attack(dir, unix.F_OFD_SETLK)
	case "private":
		err = data.MakePrivate(dir).Left
	case "import":
		err = importAsOwner(dir)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func child(ctx context.Context, dir, task string) *osexec.Cmd {
	cmd := osexec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childTask+"="+task)
	cmd.Stderr = os.Stderr
	return cmd
}

var lessons = playlist.Playlist{
	Name: "health", Order: playlist.Sequence,
	Clips: []playlist.ClipID{clipID("a"), clipID("b"), clipID("c"), clipID("d"), clipID("e")},
}

// airForever airs one lesson after another, as fast as it can, and prints each
// claim and each end as soon as the store has returned from it.
func airForever(dir string) error {
	ctx := context.Background()
	held, err := data.Lock(dir)
	if err != nil {
		return err
	}
	o := options()
	o.Lock = held
	s, err := data.Open(ctx, dir, o)
	if err != nil {
		return err
	}
	if _, err := s.CloseOpen(ctx, due, asrun.ReasonPowerLost); err != nil {
		return err
	}
	for n := 1; ; n++ {
		at, err := s.Cursor(ctx, lessons.Name)
		if err != nil {
			return err
		}
		clip, after, _ := lessons.Next(at)
		r := row("square", 1, 1, clip)
		r.Due = due.Add(time.Duration(n) * time.Minute)
		r.Airing = playlist.NewAiringID("morning", r.Due)
		switch err := s.Claim(ctx, asrun.Claim{Row: r, Before: &at, After: &after}); {
		case errors.Is(err, asrun.ErrClaimed):
			continue // until this process is killed
		case err != nil:
			return err
		}
		fmt.Println("claimed", r.Airing)
		if err := s.Checkpoint(ctx, r.Key(), r.Due, 0, 10); err != nil {
			return err
		}
		if n%16 == 0 {
			if _, err := s.BackupDue(ctx, r.Due.AddDate(0, 0, n), 7); err != nil {
				return err
			}
		}
		e := heard(48000)
		e.Started = r.Due
		if err := s.End(ctx, r.Key(), e); err != nil {
			return err
		}
		fmt.Println("ended", r.Airing)
	}
}

func TestKilledAtRandomInstantsNothingIsLostOrDoubled(t *testing.T) {
	dir := t.TempDir()
	claimed, ended := map[playlist.AiringID]int{}, map[playlist.AiringID]int{}
	for range 12 {
		cmd := child(t.Context(), dir, "air")
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines, kill, n := bufio.NewScanner(out), 5+rand.IntN(60), 0
		for ; lines.Scan(); n++ {
			what, id, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "claimed":
				claimed[playlist.AiringID(id)]++
			case "ended":
				ended[playlist.AiringID(id)]++
			default:
				t.Fatalf("the child says %q, want \"claimed\" or \"ended\"", lines.Text())
			}
			if n == kill {
				must(t, cmd.Process.Signal(unix.SIGKILL))
			}
		}
		if err := cmd.Wait(); n <= kill {
			t.Fatalf("the child ended by itself after %d lines, before it was killed at line %d: %v", n, kill, err)
		}
	}
	s := open(t, dir)
	if _, err := s.CloseOpen(t.Context(), due, asrun.ReasonPowerLost); err != nil {
		t.Fatal(err)
	}
	if h := health(t, s); len(h.Losses) != 0 {
		t.Fatalf("%+v", h.Losses)
	}
	var (
		cursor playlist.Cursor
		rows   int
	)
	for r, err := range s.AsRun(t.Context(), data.Query{}) {
		must(t, err)
		if rows++; int(r.Seq) != rows {
			t.Errorf("row %d has receipt %d", rows, r.Seq)
		}
		// The store may have accepted a claim that the killed child had no time
		// to print.
		if claimed[r.Airing] > 1 {
			t.Errorf("%s was claimed %d times", r.Airing, claimed[r.Airing])
		}
		if ended[r.Airing] == 1 && r.Outcome != asrun.Complete {
			t.Errorf("%s ended and is %s", r.Airing, r.Outcome)
		}
		clip, after, _ := lessons.Next(cursor)
		if r.Clip != clip {
			t.Errorf("%s aired %s where %s was due", r.Airing, r.Clip.Short(), clip.Short())
		}
		if r.Frames > 0 {
			cursor = after
		}
		delete(claimed, r.Airing)
		delete(ended, r.Airing)
	}
	if len(claimed) > 0 || len(ended) > 0 {
		t.Errorf("promised and lost: claims %v, ends %v", claimed, ended)
	}
	cursorIs(t, s, cursor)
	if n, _, err := s.Unsent(t.Context()); n != rows || err != nil {
		t.Errorf("%d receipts for %d rows, %v", n, rows, err)
	}
	t.Log(rows, "rows after 12 kills")
}

// fillUp writes until its files cannot grow any more, and prints how many rows
// the store accepted.
func fillUp(dir string) error {
	ctx := context.Background()
	s, err := data.Open(ctx, dir, options())
	if err != nil {
		return err
	}
	const most = 256 << 10
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		return err
	}
	n, err := writeUntilFull(ctx, s)
	if err != nil {
		return err
	}
	fmt.Println("rows", n)
	return nil
}

func writeUntilFull(ctx context.Context, s *data.Store) (int, error) {
	for n := 0; ; n++ {
		r := row("square", n+1, 0, "")
		r.Outcome, r.Slot = asrun.Missed, strings.Repeat("long", 256)
		switch err := s.Record(ctx, r); {
		case errors.Is(err, data.ErrFull):
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

func TestAFileThatMayNotGrowLeavesAReadableStore(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t.Context(), dir, "full").Output()
	var n int
	if _, serr := fmt.Sscanf(string(out), "rows %d", &n); err != nil || serr != nil || n == 0 {
		t.Fatalf("%q, %v", out, err)
	}
	s := open(t, dir)
	if got := rowCount(t, s); got != n {
		t.Errorf("%d rows of %d", got, n)
	}
	if h := health(t, s); int(h.Seq) != n || len(h.Losses) != 0 {
		t.Errorf("%+v", h)
	}
}

func TestOnAFullDiskTheBallastGivesRoomAndNoRowIsLost(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skip("no right to mount a small disk, the file size limit above must do:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s, ctx := open(t, dir), t.Context()
	record(t, s, 100001)
	if !health(t, s).Ballast {
		t.Fatal("no ballast")
	}
	junk := dir + "/junk"
	f, err := os.Create(junk)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	must(t, f.Close())
	n, err := writeUntilFull(ctx, s)
	must(t, err)
	h := health(t, s)
	if h.Ballast || n < 500 {
		t.Errorf("%d rows more, ballast still there: %v", n, h.Ballast)
	}
	if got := rowCount(t, s); got != n+1 || int(h.Seq) != n+1 {
		t.Errorf("%d rows, receipt %d, %d promised", got, h.Seq, n+1)
	}
	clip := strings.NewReader("sound")
	if err := s.AddClip(ctx, playlist.Clip{ID: idOf("sound")}, clip); !errors.Is(err, data.ErrFull) {
		t.Error("clip:", err)
	}
	if _, err := s.BackupDue(ctx, due, 7); !errors.Is(err, data.ErrFull) {
		t.Error("backup:", err)
	}
	// Open it for reading, and start again, on the full disk.
	look, err := data.OpenReadOnly(ctx, dir)
	must(t, err)
	if got := rowCount(t, look); got != n+1 {
		t.Errorf("looking shows %d rows", got)
	}
	must(t, look.Close())
	must(t, s.Close())
	if look, err = data.OpenReadOnly(ctx, dir); err != nil {
		t.Error("looking when nobody has it open:", err)
	} else {
		if got := rowCount(t, look); got != n+1 {
			t.Errorf("looking shows %d rows", got)
		}
		must(t, look.Close())
	}
	if s, err := data.Open(ctx, dir, options()); err == nil {
		must(t, s.Close())
	} else if !errors.Is(err, data.ErrFull) {
		t.Error("start:", err)
	}
	// Now there is room again.
	must(t, os.Remove(junk))
	s = open(t, dir)
	must(t, s.Tend(ctx))
	record(t, s, 100002)
	if h := health(t, s); rowCount(t, s) != n+2 || len(h.Losses) != 0 {
		t.Errorf("%d rows, %+v", rowCount(t, s), h)
	}
}
