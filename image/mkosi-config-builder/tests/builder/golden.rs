//! What a whole image looks like, as text that a person has read.

use crate::image;

#[test]
fn an_image_with_uki_verity_and_two_slots_renders_as_reviewed() {
    let tree = image::tree();
    insta::with_settings!({ snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("image", tree);
    });
}
