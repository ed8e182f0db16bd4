package client

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"tillpost/webui/api/wire"
)

// Erase forgets a person, whose number may be spelled as the shop spells it.
func (c *Client) Erase(ctx context.Context, number string) (out wire.Erased, err error) {
	return out, c.call(ctx, "POST", "/erase", nil, "", wire.Person{Number: number}, &out)
}

// Export reads all that is kept about one number.
func (c *Client) Export(ctx context.Context, number string) (out wire.About, err error) {
	return out, c.call(ctx, "POST", "/export", nil, "", wire.Person{Number: number}, &out)
}

// Backup writes a copy of the whole store to w and returns its length. It takes
// as long as ctx allows; a copy that breaks off is an error.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	resp, err := c.get(ctx, "POST", Prefix+"/backup")
	if err != nil {
		return 0, err
	}
	defer resp.Close()
	n, err := io.Copy(w, resp)
	if err != nil {
		return n, fmt.Errorf("client: the backup broke off after %d bytes: %w", n, err)
	}
	return n, nil
}

// Raw reads what stands at a path of the box, as it is sent: for a bundle that
// goes to the supplier.
func (c *Client) Raw(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	resp, err := c.get(ctx, "GET", path)
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	body, err := io.ReadAll(io.LimitReader(resp, maxReply))
	if err != nil {
		return nil, fmt.Errorf("client: the answer to GET %s broke off: %w", path, err)
	}
	return body, nil
}

// get makes a call whose answer is not JSON. The caller closes it.
func (c *Client) get(ctx context.Context, method, path string) (*response, error) {
	resp, err := c.exchange(ctx, request{method: method, target: path})
	if err != nil {
		return nil, c.NoBox(err)
	}
	if resp.status >= 300 {
		defer resp.Close()
		return nil, Refused(resp.reason, resp.header.Get, resp)
	}
	return resp, nil
}

// Read reads a list of the API that this package has no call for into out.
func (c *Client) Read(ctx context.Context, path string, q url.Values, out any) error {
	return c.call(ctx, "GET", path, q, "", nil, out)
}

// Upload posts a file as it is, a CSV, and reads the answer into out.
func (c *Client) Upload(ctx context.Context, path string, options url.Values, file []byte, out any) error {
	return c.ask(ctx, request{method: "POST", target: target(path, options), kind: "text/csv", body: file}, out)
}

// Settings lists every setting, as it is in force, and where it comes from.
func (c *Client) Settings(ctx context.Context) ([]wire.Setting, error) {
	var out wire.Page[wire.Setting]
	err := c.call(ctx, "GET", "/settings", nil, "", nil, &out)
	return out.Items, err
}

// ChangeSettings stores settings, in the shape of the boot file. The box begins
// anew with them in a moment.
func (c *Client) ChangeSettings(ctx context.Context, change map[string]any) (out wire.SettingsChanged, err error) {
	return out, c.call(ctx, "PUT", "/settings", nil, "", change, &out)
}
