//! What the path of a container's log says: whose it is, in Kubernetes and Docker.

use crate::draft::Known;

/// Hexadecimal digits of a container's id.
const ID_LEN: usize = 64;
/// As many of them as people see.
const ID_SHOWN: usize = 12;

/// The attributes that a source's path gives to each of its records; none if it is no container's.
///
/// | path | from |
/// |---|---|
/// | `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log` | kubelet |
/// | `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log` | kubelet's links |
/// | `/var/lib/docker/containers/ID/ID-json.log` | Docker |
pub(crate) fn labels(path: &str) -> Vec<(Known, String)> {
    of_pod(path).or_else(|| of_link(path)).or_else(|| of_docker(path)).unwrap_or_default()
}

fn of_pod(path: &str) -> Option<Vec<(Known, String)>> {
    let (_, rest) = path.split_once("/pods/")?;
    let (pod, rest) = rest.split_once('/')?;
    let (container, _) = rest.split_once('/')?;
    let mut parts = pod.splitn(3, '_');
    let (namespace, pod, _uid) = (parts.next()?, parts.next()?, parts.next()?);
    named(namespace, pod, container)
}

fn of_link(path: &str) -> Option<Vec<(Known, String)>> {
    let (_, file) = path.split_once("/containers/")?;
    let mut parts = file.splitn(3, '_');
    let (pod, namespace, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (container, id) = rest.rsplit_once('-')?;
    let id = id.split('.').next().filter(|id| is_id(id))?;
    let mut labels = named(namespace, pod, container)?;
    labels.push((Known::ContainerId, id[..ID_SHOWN].to_owned()));
    Some(labels)
}

fn of_docker(path: &str) -> Option<Vec<(Known, String)>> {
    let (_, rest) = path.split_once("/containers/")?;
    let (id, _) = rest.split_once('/').filter(|(id, _)| is_id(id))?;
    Some(vec![(Known::ContainerId, id[..ID_SHOWN].to_owned())])
}

fn named(namespace: &str, pod: &str, container: &str) -> Option<Vec<(Known, String)>> {
    let all = [(Known::Namespace, namespace), (Known::Pod, pod), (Known::Container, container)];
    let is_name = |name: &str| !name.is_empty() && name.len() <= 253;
    all.iter()
        .all(|(_, name)| is_name(name))
        .then(|| all.iter().map(|(known, name)| (*known, (*name).to_owned())).collect())
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_containers() {
        let id = "0123456789abcdef".repeat(4);
        for (path, want) in [
            (
                "/var/log/pods/shop_cart-7d_1-2-3/app/0.log".to_owned(),
                "namespace=shop pod=cart-7d container=app",
            ),
            (
                format!("/var/log/containers/cart-7d_shop_app-{id}.log"),
                "namespace=shop pod=cart-7d container=app container_id=0123456789ab",
            ),
            (format!("/var/lib/docker/containers/{id}/{id}-json.log"), "container_id=0123456789ab"),
            ("/var/log/nginx/access.log".to_owned(), ""),
            ("/srv/containers/notes.log".to_owned(), ""),
            ("/srv/pods/a/b/c".to_owned(), ""),
        ] {
            let found: Vec<String> =
                labels(&path).into_iter().map(|(known, name)| format!("{}={name}", known.name())).collect();
            assert_eq!(found.join(" "), want, "{path}");
        }
    }
}
