package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

// Settings of the box: what its boot file does not say is kept in the store
// under the same names (contract.md, Configuration). This package keeps and
// shows them; what they mean is known to whoever wires the box.
type Settings struct {
	// List is every setting as it is in force.
	List func() []wire.Setting
	// Check says whether the box could start with these stored settings, by
	// their dotted names. Its error is a *wire.Problem.
	Check func(stored map[string]json.RawMessage) error
	// Changed is called when other settings are stored: the box begins anew
	// with them, after the call has been answered.
	Changed func()
}

// setting is one that was set by wizard, page or API.
type setting struct {
	Key   string          `json:"key"` // limits.max_parts
	Value json.RawMessage `json:"value"`
	By    string          `json:"by,omitempty"`
}

var settingTable = store.NewTable("setting", func(s *setting) []byte { return store.Str(s.Key) })

// Stored reads the settings that are kept in a store, by their dotted names.
func Stored(db *store.DB) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	err := db.View(func(tx *store.Tx) (err error) {
		out, err = stored(tx)
		return err
	})
	return out, err
}

func stored(tx *store.Tx) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for s, err := range settingTable.Scan(tx, nil) {
		if err != nil {
			return nil, err
		}
		out[s.Key] = s.Value
	}
	return out, nil
}

func (a *API) getSettings(*call) (*reply, error) {
	if a.cfg.Settings == nil {
		return nil, noSettings()
	}
	return answer(http.StatusOK, wire.Page[wire.Setting]{Items: a.cfg.Settings.List()})
}

func noSettings() error {
	return refusal(http.StatusNotFound, "not_found", "", "this box was started without settings of its own")
}

// putSettings takes an object of the shape of the boot file; what it does not
// name stays as it is, and null goes back to what the box came with.
func (a *API) putSettings(c *call) (*reply, error) {
	if a.cfg.Settings == nil {
		return nil, noSettings()
	}
	var in map[string]json.RawMessage
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	change := map[string]json.RawMessage{}
	flatten("", in, change)
	if len(change) == 0 {
		return nil, refusal(http.StatusBadRequest, "body_missing", "", "name at least one setting, such as {\"limits\": {\"max_parts\": 4}}")
	}
	if err := a.fromFile(change); err != nil {
		return nil, err
	}
	err := a.db.Commit(c.ctx, func(tx *store.Tx) error {
		all, err := stored(tx)
		if err != nil {
			return err
		}
		for key, value := range change {
			if isNull(value) {
				delete(all, key)
				err = settingTable.Delete(tx, store.Str(key))
			} else {
				value = keepSecrets(all[key], value)
				all[key] = value
				err = settingTable.Put(tx, &setting{Key: key, Value: value, By: c.who.by})
			}
			if err != nil {
				return err
			}
		}
		if err := a.cfg.Settings.Check(all); err != nil {
			return err
		}
		names := strings.Join(slices.Sorted(maps.Keys(change)), " ")
		return a.queue.NoteTx(tx, queue.Event{Kind: queue.KindSettings, By: c.who.by, Detail: names})
	})
	if err != nil {
		return nil, err
	}
	a.log.Info("settings changed", "by", c.who.by, "keys", slices.Sorted(maps.Keys(change)))
	a.cfg.Settings.Changed()
	return answer(http.StatusAccepted, wire.SettingsChanged{Keys: slices.Sorted(maps.Keys(change)), Restart: true})
}

// fromFile refuses what the boot file says: there it must be changed.
func (a *API) fromFile(change map[string]json.RawMessage) error {
	for _, s := range a.cfg.Settings.List() {
		if _, ok := change[s.Key]; ok && s.Origin == wire.OriginFile {
			return refusal(http.StatusConflict, "set_by_file", s.Key, s.Key+" is set by the boot file, which wins. Change it there, or take it out of the file first")
		}
	}
	return nil
}

// flatten writes the leaves of a tree under their dotted names. A list is a
// leaf, and so is null.
func flatten(path string, tree map[string]json.RawMessage, into map[string]json.RawMessage) {
	for name, raw := range tree {
		at := name
		if path != "" {
			at = path + "." + name
		}
		var below map[string]json.RawMessage
		if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &below) == nil {
			flatten(at, below, into)
			continue
		}
		into[at] = raw
	}
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// SecretShown stands where a secret is not shown. Who hands it back means the
// one that is there.
const SecretShown = "(secret)"

// keepSecrets puts the stored secrets back into a list of tables whose entries
// were read, changed and handed back. Entries are the same by their name.
func keepSecrets(old, changed json.RawMessage) json.RawMessage {
	if !bytes.Contains(changed, []byte(SecretShown)) {
		return changed
	}
	var was, now []map[string]any
	if json.Unmarshal(old, &was) != nil || json.Unmarshal(changed, &now) != nil {
		return changed // Check will say what is wrong with it
	}
	for _, entry := range now {
		i := slices.IndexFunc(was, func(o map[string]any) bool { return o["name"] == entry["name"] })
		for field, value := range entry {
			if value == SecretShown && i >= 0 {
				entry[field] = was[i][field]
			}
		}
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return changed
	}
	return raw
}
