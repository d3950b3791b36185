//! Datagrams go from one real socket to another.

use std::time::Duration;

use super::*;

fn way(port: u16) -> Way {
    Way {
        endpoint: SocketAddr::from(([127, 0, 0, 1], port)),
        source: None,
    }
}

/// Sends what `push` is given through one socket to another, and returns what arrives there, in order.
async fn sent(datagrams: &[(usize, Ecn)]) -> Vec<(usize, u8)> {
    let (mut near, far) = (Outlet::open(0).unwrap(), Outlet::open(0).unwrap());
    for (number, (length, ecn)) in datagrams.iter().enumerate() {
        let datagram = vec![u8::try_from(number).unwrap(); *length];
        near.push(&datagram, way(far.port()), *ecn).unwrap();
    }
    near.flush().unwrap();
    let mut arrived = Vec::new();
    let mut buffer = vec![0; LARGEST];
    let mut metas = [RecvMeta::default()];
    while arrived.len() < datagrams.len() {
        let socket = far.socket();
        tokio::time::timeout(Duration::from_secs(5), socket.readable())
            .await
            .unwrap()
            .unwrap();
        match far.receive(&mut [IoSliceMut::new(&mut buffer)], &mut metas) {
            Ok(_) => {
                assert_eq!(way_back(&metas[0]).endpoint, way(near.port()).endpoint);
                assert_eq!(
                    way_back(&metas[0]).source,
                    Some(IpAddr::from([127, 0, 0, 1]))
                );
                let joined = buffer[..metas[0].len].chunks(metas[0].stride);
                arrived.extend(joined.map(|datagram| (datagram.len(), datagram[0])));
            }
            Err(err) => assert_eq!(err.kind(), io::ErrorKind::WouldBlock),
        }
    }
    arrived
}

#[tokio::test]
async fn datagrams_of_any_sizes_arrive_whole_and_in_order() {
    let same = [(1452, Ecn::NotCapable); 200];
    let mixed = [
        (100, Ecn::NotCapable),
        (1452, Ecn::Capable0),
        (1452, Ecn::Capable0),
        (60, Ecn::Capable0),
        (60, Ecn::Congested),
        (1452, Ecn::Congested),
    ];
    for datagrams in [same.as_slice(), &mixed] {
        let expected: Vec<_> = datagrams
            .iter()
            .enumerate()
            .map(|(number, (length, _))| (*length, u8::try_from(number).unwrap()))
            .collect();
        assert_eq!(sent(datagrams).await, expected);
    }
}

#[tokio::test]
async fn an_address_that_is_no_longer_ours_is_given_up() {
    let (mut near, far) = (Outlet::open(0).unwrap(), Outlet::open(0).unwrap());
    let source: IpAddr = [192, 0, 2, 77].into();
    let way = Way {
        source: Some(source),
        ..way(far.port())
    };
    near.push(b"hello", way, Ecn::NotCapable).unwrap();
    near.push(b"again", way, Ecn::NotCapable).unwrap();
    near.flush().unwrap();
    assert_eq!(near.take_lost_source(), Some(source));
    tokio::time::timeout(Duration::from_secs(5), far.socket().readable())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_datagram_larger_than_any_is_refused() {
    let mut near = Outlet::open(0).unwrap();
    assert_eq!(
        near.push(&[0; LARGEST], way(1), Ecn::NotCapable),
        Err(Reason::NotTaken)
    );
    near.push(b"small", way(1), Ecn::NotCapable).unwrap();
}
