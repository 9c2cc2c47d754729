# SPDX-License-Identifier: Apache-2.0
"""Every command of identity that the openstack client has, unmodified, at its own prompt."""
import importlib.metadata
import json
import subprocess
import uuid

SAY = ("issue", "create", "show", "list", "authorize")  # last words of commands that print


class Prompt:
    """Runs lines in one client a turn, and remembers which commands were among them."""

    def __init__(self, cloud):
        self.cloud, self.lines, self.last = cloud, [], []

    def __call__(self, *lines, **user_env):
        """The documents of the lines that print one, in order. A line that fails says so, and fails the test."""
        self.lines += lines
        self.last = lines
        asked = [line + " -f json" if self.prints(line) else line for line in lines]
        done = subprocess.run(["/usr/bin/openstack"], input="\n".join(asked) + "\n", capture_output=True, text=True, timeout=600,
                              env={**self.cloud.env, **self.cloud.rc, **user_env})
        assert done.returncode == 0 and not done.stderr.strip(), done.stderr
        documents, text, reader = [], done.stdout.strip(), json.JSONDecoder()
        while text:
            assert text[0] in "[{", text[:300]
            document, end = reader.raw_decode(text)
            documents.append(document)
            text = text[end:].strip()
        assert len(documents) == sum(map(self.prints, lines)), done.stdout
        return documents

    @staticmethod
    def prints(line):
        return any(word in line.split()[:4] for word in SAY) or line.startswith(("limit set", "registered limit set"))

    def by_command(self, documents):
        """Those of the last turn under their lines' first three words; of several with the same, the first."""
        found = {}
        for line, document in zip([line for line in self.last if self.prints(line)], documents):
            found.setdefault(" ".join(line.split()[:3]), document)
        return found

    def missing(self):
        """Commands that no line was."""
        points = importlib.metadata.entry_points(group="openstack.identity.v3")
        return [p.name for p in points if not any(line.startswith(p.name.replace("_", " ")) for line in self.lines)]


def test_every_command(cloud, tmp_path):
    ask, n = Prompt(cloud), "n" + uuid.uuid4().hex[:8]
    files = {"rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}],
             "filters": {"interface": "public"}, "policy": {"a": "b"},
             "access": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    first = ask(
        f"domain create {n}", f"domain set --description d {n}", f"domain show {n}", "domain list",
        f"region create {n}", f"region set --description d {n}", f"region show {n}", "region list",
        f"service create --name {n} {n}", f"service set --description d {n}", f"service show {n}", "service list",
        f"endpoint create --region {n} {n} public http://x",
        f"project create {n} --tag red", f"project set --description d --tag blue {n}", f"project set --remove-tag red {n}",
        f"project show {n}", f"project list --tags blue",
        f"user create --password secret --project {n} {n}", f"user set --email e@x {n}", f"user show {n}", "user list",
        f"group create {n}", f"group set --description d {n}", f"group show {n}", f"group add user {n} {n}",
        f"group list --user {n}", f"user list --group {n}",
        f"role create {n}", f"role create {n}i", f"role set --description d {n}", f"role show {n}", "role list",
        f"implied role create {n} --implied-role {n}i", "implied role list",
        f"role add --project {n} --user {n} {n}", f"role add --project {n} --user {n} member",
        f"role assignment list --project {n} --names", f"registered limit create --service {n} --default-limit 5 cores",
        f"policy create --type text/plain {tmp_path}/policy", "consumer create --description d", "policy list", "consumer list",
        "credential create --type cert admin text", "credential list", "ec2 credentials create", "ec2 credentials list",
        f"mapping create --rules {tmp_path}/rules {n}", f"mapping set --rules {tmp_path}/rules {n}", f"mapping show {n}",
        "mapping list", f"identity provider create {n} --remote-id {n}", f"identity provider set --description d {n}",
        f"identity provider show {n}", "identity provider list",
        f"federation protocol create --identity-provider {n} --mapping {n} mapped",
        f"federation protocol set --identity-provider {n} --mapping {n} mapped",
        f"federation protocol show --identity-provider {n} mapped", f"federation protocol list --identity-provider {n}",
        f"service provider create {n} --auth-url http://x --service-provider-url http://y",
        f"service provider set --description d {n}", f"service provider show {n}", "service provider list",
        "federation project list", "federation domain list",
        f"endpoint group create {n} {tmp_path}/filters", f"endpoint group set --description d {n}", f"endpoint group show {n}",
        "endpoint group list", f"endpoint group add project {n} {n}", f"endpoint group remove project {n} {n}",
        f"application credential create --access-rules {tmp_path}/access {n}", f"application credential show {n}",
        "application credential list", "access rule list",
        "catalog list", "catalog show identity", "versions show", "token issue")
    made = ask.by_command(first)
    def of(command):
        return next(document for words, document in made.items() if words.startswith(command))
    for kind in ("domain", "region", "service", "role", "identity provider", "service provider", "endpoint group"):
        assert of(kind + " show")["description"] == "d", kind
    assert of("project show")["tags"] == ["blue"] and n in [p["Name"] for p in of("project list --tags")]
    assert of("user show")["email"] == "e@x" and [u["Name"] for u in of("user list --group")] == [n]
    assert n in [r["Prior Role Name"] for r in of("implied role list")]
    assert f"{n}@Default" in [a["User"] for a in of("role assignment list")]
    assert of("mapping show")["rules"] == files["rules"] and of("federation protocol show")["mapping"] == n
    assert of("application credential show")["name"] == n and "identity" in [v["Service Type"] for v in of("versions show")]
    policy, credential = of("policy create")["id"], of("credential create")["id"]
    point, limit, consumer = of("endpoint create")["id"], of("registered limit create")["id"], of("consumer create")
    access, rules = of("ec2 credentials create")["access"], [r["ID"] for r in of("access rule list")]
    made = ask.by_command(ask(
        f"endpoint set --url http://y {point}", f"endpoint show {point}", "endpoint list",
        f"endpoint add project {point} {n}", f"endpoint remove project {point} {n}",
        f"registered limit set --default-limit 6 {limit}", f"registered limit show {limit}", "registered limit list",
        f"limit create --project {n} --service {n} --resource-limit 3 cores",
        f"policy set --type text/html {policy}", f"policy show {policy}",
        f"consumer set --description e {consumer['id']}", f"consumer show {consumer['id']}",
        f"credential set --user admin --type cert --data new {credential}", f"credential show {credential}",
        f"ec2 credentials show {access}", f"access rule show {rules[0]}",
        f"trust create --project admin --role member admin {n}",
        f"request token create --consumer-key {consumer['id']} --consumer-secret {consumer['secret']} --project admin"))
    assert of("endpoint show")["url"] == "http://y" and of("registered limit show")["default_limit"] == 6
    assert of("policy show")["type"] == "text/html" and of("consumer show")["description"] == "e"
    assert of("credential show")["blob"] == "new" and of("ec2 credentials show")["access"] == access
    asked, own_limit, trust = of("request token create"), of("limit create")["id"], of("trust create")["id"]
    made = ask.by_command(ask(
        f"limit set --resource-limit 4 {own_limit}", f"limit show {own_limit}", "limit list", f"trust show {trust}", "trust list",
        f"request token authorize --request-key {asked['id']} --role admin"))
    assert of("limit show")["resource_limit"] == 4 and of("trust show")["id"] == trust
    verifier = of("request token authorize")["oauth_verifier"]
    given, token = ask(
        f"access token create --consumer-key {consumer['id']} --consumer-secret {consumer['secret']} --request-key {asked['id']} "
        f"--request-secret {asked['secret']} --verifier {verifier}", "token issue")
    assert given["id"] and given["secret"]
    assert ask("user password set --original-password secret --password second", "token issue", OS_USERNAME=n, OS_PASSWORD="secret",
               OS_PROJECT_NAME=n)
    ask(f"token revoke {token['id']}", f"trust delete {trust}", f"limit delete {own_limit}", f"registered limit delete {limit}",
        f"ec2 credentials delete {access}", f"credential delete {credential}", f"consumer delete {consumer['id']}",
        f"policy delete {policy}", f"application credential delete {n}", *(f"access rule delete {r}" for r in rules),
        f"endpoint group delete {n}", f"service provider delete {n}", f"federation protocol delete --identity-provider {n} mapped",
        f"identity provider delete {n}", f"mapping delete {n}", f"role remove --project {n} --user {n} {n}",
        f"implied role delete {n} --implied-role {n}i", f"role delete {n} {n}i", f"group remove user {n} {n}", f"group delete {n}",
        f"user delete {n}", f"project delete {n}", f"endpoint delete {point}", f"service delete {n}", f"region delete {n}",
        f"domain set --disable {n}", f"domain delete {n}")
    assert ask.missing() == ["group_contains_user"]  # prints a sentence: test_identity_client.py
    assert cloud.get("identity", f"/domains?name={n}").json()["domains"] == []
