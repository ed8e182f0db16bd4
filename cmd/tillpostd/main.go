// Command tillpostd is Tillpost: the daemon that takes messages from tills
// over HTTP, keeps them on disk and sends them by modem or SMSC.
//
//	tillpostd [-config FILE]         run; default /etc/tillpost/tillpost.toml
//	tillpostd -check [-config FILE]  name every problem of the file and exit
//	tillpostd -demo                  the whole product on simulators
//
// Without a file everything is as it comes and the page's wizard is open.
// SIGTERM or SIGINT drains and stops; the second one aborts. Exit codes:
// 0 stopped as asked, 1 failed, 2 wrong use or a boot file with problems.
//
// How the pieces hang together is run.go, from top to bottom. Only this
// command and its sisters in cmd may import every package of the house.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // a shop's time zone must be known on the smallest system

	"tillpost/cmd/tillpost/whole"
)

const defaultBootFile = "/etc/tillpost/tillpost.toml"

// Exit codes.
const (
	stopped = 0
	failed  = 1
	misuse  = 2
)

func main() {
	if filepath.Base(os.Args[0]) == "tillpost" { // the operator's command, which is small, hands over to us
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := whole.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2) // room for both: none may be lost
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		cancel(fmt.Errorf("signal: %v", <-signals))
		<-signals
		fmt.Fprintln(os.Stderr, "tillpostd: aborted by a second signal")
		os.Exit(failed)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("tillpostd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", defaultBootFile, "boot `file`; without it everything is as it comes")
	check := flags.Bool("check", false, "validate the boot file and exit: 0, or 2 with every problem named")
	demo := flags.Bool("demo", false, "run on two simulated modems and a simulated SMSC, data in a temporary folder")
	version := flags.Bool("version", false, "print the version and exit")
	sysfs := flags.String("sysfs", "", "root of sysfs, where USB modems are looked for; an empty `folder` keeps every modem out that the boot file does not name by its port")
	level := new(slog.LevelVar)
	flags.TextVar(level, "log", level, "least `level` that is logged: debug, info, warn or error")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return stopped
	case err != nil:
		return misuse // the flag package has said why
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "tillpostd: %q is one word too many; it takes flags only\n", flags.Arg(0))
		return misuse
	}

	if os.Getenv("GOGC") == "" {
		// The live heap is a few megabytes: some tens of it cost nothing on the
		// smallest board, and a quarter of the collections gives a fifth of
		// the processor back to accepting and sending.
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		// Where the heap is larger for once, a list of 100,000 contacts being
		// read, it is collected sooner: the unit (systemd/tillpostd.service)
		// slows the daemon down above 192 MB, and ends it at 256.
		debug.SetMemoryLimit(128 << 20)
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))
	switch {
	case *version:
		fmt.Fprintln(stdout, "tillpostd", buildVersion())
		return stopped
	case *check:
		return checkFile(*file, stdout, stderr)
	case *demo:
		if level.Level() == slog.LevelInfo {
			level.Set(slog.LevelWarn) // the newcomer's eyes are for what is printed
		}
		return exit(stderr, runDemo(ctx, log, stdout))
	}

	cfg, problems := loadConfig(*file)
	if problems.fatal() {
		tell(stderr, problems)
		return misuse
	}
	for _, p := range problems.list {
		log.Warn("boot file", "problem", p.String())
	}
	cfg.world.sys = *sysfs
	return exit(stderr, keepServing(func() error { return serve(ctx, cfg, log, nil) }))
}

// exit chooses the exit code, and tells the reason of a failure once.
func exit(stderr io.Writer, err error) int {
	if err == nil {
		return stopped
	}
	fmt.Fprintln(stderr, "tillpostd:", err)
	return failed
}

// checkFile is -check. A file that is not there is a problem here: whoever
// checks one means one.
func checkFile(file string, stdout, stderr io.Writer) int {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(stderr, "%s: does not exist; -config names the file to check\n", file)
		return misuse
	}
	_, problems := loadConfig(file)
	tell(stderr, problems)
	if problems.fatal() {
		return misuse
	}
	fmt.Fprintf(stdout, "%s: the daemon would start with it\n", file)
	return stopped
}

func tell(stderr io.Writer, ps *problems) {
	for _, p := range ps.list {
		fmt.Fprintln(stderr, p)
	}
}

// withoutTime leaves the time to the journal where there is one: it knows
// better, and twice is once too often.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && os.Getenv("JOURNAL_STREAM") != "" {
		return slog.Attr{}
	}
	return a
}

// buildVersion is what Go stamped into the binary: a released version, or the
// commit it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version // "(devel)" where there was no git
}
