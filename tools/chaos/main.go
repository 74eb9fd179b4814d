// Command chaos kills the real controller at random instants, many times, and
// then compares what was due, what the as-run log says, and what the sound cards
// consumed. It is a developer's tool.
//
// The controller plays a dense schedule on two virtual cards. Every clip differs
// from every other in nearly all of its samples, so that each frame on tape can
// be traced to its place in one clip.
//
// With -plant it builds the controller with a bug in it, and fails unless it
// finds that bug.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // the schedule is in the site's zone
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const (
	exitOK = iota
	exitBreach
	exitUsage
	exitFault // of the harness itself
)

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	h := &harness{out: out}
	if err := h.parse(args, errOut); err != nil {
		if !errors.Is(err, errShown) {
			fmt.Fprintln(errOut, "chaos:", err)
		}
		return exitUsage
	}
	fmt.Fprintf(out, "seed %d, %d kills%s\n", h.seed, h.kills, planted(h.plant))
	fail := func(err error) int {
		fmt.Fprintln(errOut, "chaos:", err)
		return exitFault
	}
	var err error
	if h.root, err = moduleRoot(ctx); err != nil {
		return fail(err)
	}
	if h.dir, err = os.MkdirTemp("", "dalaba-chaos-"); err != nil {
		return fail(err)
	}
	if h.keep {
		fmt.Fprintln(out, "kept in", h.dir)
	} else {
		defer os.RemoveAll(h.dir)
	}
	breaches, err := h.chaos(ctx)
	if err != nil {
		return fail(err)
	}
	return h.verdict(breaches)
}

// errShown says that the flag package has printed what is wrong.
var errShown = errors.New("already printed")

// parse reads the command line.
func (h *harness) parse(args []string, errOut io.Writer) (err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.IntVar(&h.kills, "n", 20, "kill the controller so many times")
	flags.Uint64Var(&h.seed, "seed", 0, "repeat the choices of an earlier run (default: a new seed)")
	flags.StringVar(&h.plant, "plant", "", "build the controller with this bug and expect to find it: "+strings.Join(slices.Sorted(maps.Keys(plants)), ", "))
	flags.IntVar(&h.slack, "slack", 1, "how many times longer things may take: more than 1 on a machine that does much else; what is lost or doubled is found all the same")
	only := flags.String("only", "", "kinds of kills, by comma (default: all): "+strings.Join(kindNames(), ","))
	flags.BoolVar(&h.keep, "keep", false, "keep the folder with the store, the tapes and the logs")
	flags.BoolVar(&h.verbose, "v", false, "print each kill")
	if err := flags.Parse(args); err != nil {
		return errShown
	}
	if flags.NArg() > 0 || h.kills < 1 || h.slack < 1 {
		return errors.New("nothing but flags, at least one kill, and a slack of at least one")
	}
	if _, ok := plants[h.plant]; h.plant != "" && !ok {
		return fmt.Errorf("no bug named %q", h.plant)
	}
	if h.kinds, err = pickKinds(*only); err != nil {
		return err
	}
	if h.seed == 0 {
		h.seed = rand.Uint64()>>32 + 1
	}
	h.rand = rand.New(rand.NewPCG(h.seed, 1))
	return nil
}

// verdict prints the contradictions, and returns the exit code.
func (h *harness) verdict(breaches []string) int {
	const most = 40
	for _, b := range breaches[:min(len(breaches), most)] {
		fmt.Fprintln(h.out, "BREACH", b)
	}
	if n := len(breaches) - most; n > 0 {
		fmt.Fprintf(h.out, "BREACH and %d more\n", n)
	}
	switch {
	case h.plant == "" && len(breaches) == 0:
		fmt.Fprintf(h.out, "seed %d: no breach\n", h.seed)
		return exitOK
	case h.plant == "":
		fmt.Fprintf(h.out, "seed %d: %d breaches\n", h.seed, len(breaches))
		return exitBreach
	case len(breaches) == 0:
		fmt.Fprintf(h.out, "seed %d: the planted bug %s was not found\n", h.seed, h.plant)
		return exitBreach
	}
	fmt.Fprintf(h.out, "seed %d: the planted bug %s was found\n", h.seed, h.plant)
	return exitOK
}

func planted(name string) string {
	if name == "" {
		return ""
	}
	return ", with the bug " + name + ": " + plants[name].about
}

// harness is one run.
type harness struct {
	out     io.Writer
	root    string // the module's folder
	dir     string // for everything it makes
	seed    uint64
	rand    *rand.Rand
	kills   int
	slack   int
	plant   string
	kinds   []kind
	keep    bool
	verbose bool

	program string // the controller under test
	next    string // the same with one migration more
	site    *site
	lives   []*life
	lost    []string // contradictions after migrations that were cut off
	figures figures
}

// figures are what the run measures on the way.
type figures struct {
	opened  []time.Duration // from the start of the process until its cards run
	closing time.Duration   // from SIGTERM to the end
	byKind  map[string]int
}

// chaos makes a site, kills its controller many times, and returns the
// contradictions that it finds.
func (h *harness) chaos(ctx context.Context) ([]string, error) {
	h.figures.byKind = map[string]int{}
	if err := h.build(ctx); err != nil {
		return nil, err
	}
	var err error
	if h.site, err = newSite(h.root, h.dir); err != nil {
		return nil, err
	}
	if err := h.firstLife(ctx); err != nil {
		return nil, err
	}
	for n := range h.kills {
		k := h.pick()
		h.figures.byKind[k.name]++
		l, err := k.kill(h, ctx)
		if err != nil {
			return nil, fmt.Errorf("kill %d (%s): %w", n+1, k.name, err)
		}
		if h.verbose && l != nil {
			fmt.Fprintf(h.out, "kill %3d %-8s after %6.3f s\n", n+1, k.name, l.end.Sub(l.start).Seconds())
		}
		// Power does not always return at once.
		off := h.upTo(200 * time.Millisecond)
		if h.rand.IntN(8) == 0 {
			off += h.upTo(4 * time.Second)
		}
		if err := sleep(ctx, off); err != nil {
			return nil, err
		}
	}
	breaches, err := h.lastLife(ctx)
	if err != nil {
		return nil, err
	}
	found, err := h.judge(ctx)
	return append(breaches, found...), err
}

// slowly returns how long something that should take d may take on this machine.
func (h *harness) slowly(d time.Duration) time.Duration { return time.Duration(h.slack) * d }

// upTo returns a random duration below d.
func (h *harness) upTo(d time.Duration) time.Duration { return time.Duration(h.rand.Int64N(int64(d))) }

// pick returns a kind of kill at random, by weight.
func (h *harness) pick() kind {
	sum := 0
	for _, k := range h.kinds {
		sum += k.weight
	}
	n := h.rand.IntN(sum)
	for _, k := range h.kinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	return h.kinds[0]
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func moduleRoot(ctx context.Context) (string, error) {
	said, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(said))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("not within the module; start it from the source tree")
	}
	return filepath.Dir(mod), nil
}
