package whole

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"tillpost/cmd/tillpost/hand"
	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui"
	"tillpost/webui/api/client"
	"tillpost/webui/api/wire"
)

var errNotAsked = errors.New("the daemon was not asked")

// check asks the daemon or, when none runs, reads the store itself.
func (t tool) check(ctx context.Context, args []string) error {
	flags := hand.FlagSet("check")
	dir := flags.String("data", "", "")
	if _, err := hand.Parse(flags, args); err != nil {
		return err
	}
	var c wire.Check
	err := error(errNotAsked)
	if *dir == "" {
		c, err = t.Box.Check(ctx)
	}
	if errors.Is(err, errNotAsked) || t.Socket != "" && errors.Is(err, client.ErrNoBox) && !errors.Is(err, fs.ErrPermission) {
		c, err = checkFile(filepath.Join(cmp.Or(*dir, configuredDir()), storeFile))
	}
	if err != nil {
		return err
	}
	if t.JSON {
		if err := t.Raw(c, nil); err != nil {
			return err
		}
	}
	if !c.OK {
		return errors.New("the store does not hold together:\n  " + strings.Join(c.Problems, "\n  "))
	}
	if !t.JSON {
		fmt.Fprintln(t.Out, "the store holds together")
	}
	return nil
}

// checkFile opens the store that no daemon holds. A file that is not there is
// an error: nothing is made by looking.
func checkFile(path string) (c wire.Check, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("the daemon is not running and there is no store at %s; -data names its folder", path)
	}
	db, err := store.Open(store.Options{Path: path}, schema()...)
	if err != nil {
		return c, err
	}
	db.AddCheck("queue", queue.Check)
	found := db.Check()
	if found != nil {
		c.Problems = strings.Split(found.Error(), "\n")
	}
	c.OK = found == nil
	return c, db.Close()
}

// storeFile is the store in the data folder.
const storeFile = "tillpost.db"

// schema is every table that the daemon's store has.
func schema() []store.Schema { return append(queue.Schema(), webui.Schema()...) }

// dataDir is where the data is unless the boot file says otherwise.
const dataDir = "/var/lib/tillpost"

// configuredDir is where the boot file in its usual place says the data is.
func configuredDir() string {
	boot := struct {
		DataDir string `toml:"data_dir"`
	}{dataDir}
	if _, err := toml.DecodeFile("/etc/tillpost/tillpost.toml", &boot); err != nil {
		return dataDir // no file, or one that the daemon will complain about
	}
	return boot.DataDir
}
